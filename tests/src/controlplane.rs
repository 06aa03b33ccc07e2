//! The real control plane: keys, kubeconfigs, and how each program is started.
//!
//! Order matters twice: etcd is up before kube-apiserver is started, and kube-apiserver is stopped
//! before etcd (it waits for its storage otherwise).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::netns::{Netns, run};
use crate::program::{Launch, Program};
use crate::programs::Programs;
use crate::topology::{CONTROL, NodeNumber, POD_RANGES, SERVICE_RANGES};

/// Users the API server knows by a static token: name, token, groups.
const USERS: [(&str, &str, &str); 3] = [
    ("admin", "lab-admin", "system:masters"),
    ("system:kube-controller-manager", "lab-controllers", ""),
    ("system:kube-proxy", "lab-proxy", ""),
];

/// Where the API server answers.
pub fn server() -> String {
    format!("https://{CONTROL}:6443")
}

/// Files of one lab.
#[derive(Debug, Clone)]
pub struct Files {
    /// Holds everything else.
    pub state: PathBuf,
}

impl Files {
    /// Logs of every program.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The kubeconfig of a user.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.state
            .join(format!("{}.kubeconfig", user.trim_start_matches("system:")))
    }

    /// Links named as the programs, for shells.
    pub fn bin(&self) -> PathBuf {
        self.state.join("bin")
    }

    /// The API server's certificate and the authority that signed it, made by itself.
    fn authority(&self) -> PathBuf {
        self.pki().join("apiserver.crt")
    }

    fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// Writes a kubeconfig that presents a bearer token.
    pub fn write_kubeconfig(&self, user: &str, token: &str) -> Result<PathBuf> {
        let path = self.kubeconfig(user);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {
                "server": server(), "certificate-authority": self.authority()}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        });
        fs::write(&path, serde_json::to_vec_pretty(&config)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Makes directories, keys, tokens and kubeconfigs.
    pub fn prepare(&self, programs: &Programs) -> Result<()> {
        for dir in [self.logs(), self.bin(), self.pki()] {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        self.link_programs(programs)?;
        let key = self.pki().join("accounts.key");
        run(Command::new("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
            ])
            .arg(&key))?;
        run(Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(&key)
            .arg("-out")
            .arg(self.pki().join("accounts.pub")))?;
        let mut tokens = String::new();
        for (user, token, groups) in USERS {
            tokens.push_str(&format!("{token},{user},{user},\"{groups}\"\n"));
            self.write_kubeconfig(user, token)?;
        }
        fs::write(self.pki().join("tokens.csv"), tokens)?;
        Ok(())
    }

    fn link_programs(&self, programs: &Programs) -> Result<()> {
        for name in crate::programs::CONTROL_PLANE {
            let (path, _) = programs.control_plane(name);
            std::os::unix::fs::symlink(path, self.bin().join(name))?;
        }
        Ok(())
    }

    fn pki_file(&self, name: &str) -> String {
        self.pki().join(name).display().to_string()
    }
}

/// etcd, with its data in the sandbox's memory file system.
pub fn etcd(programs: &Programs, control: &Netns, data: &Path) -> Launch {
    launch(
        programs,
        "etcd",
        control,
        vec![
            format!("--data-dir={}", data.display()),
            "--listen-client-urls=http://127.0.0.1:2379".into(),
            "--advertise-client-urls=http://127.0.0.1:2379".into(),
            "--listen-peer-urls=http://127.0.0.1:2380".into(),
            "--log-level=warn".into(),
        ],
    )
}

/// kube-apiserver with RBAC, two service ranges and tokens for service accounts.
pub fn apiserver(programs: &Programs, control: &Netns, files: &Files) -> Launch {
    launch(
        programs,
        "kube-apiserver",
        control,
        vec![
            "--etcd-servers=http://127.0.0.1:2379".into(),
            format!("--advertise-address={CONTROL}"),
            "--bind-address=0.0.0.0".into(),
            "--secure-port=6443".into(),
            format!("--cert-dir={}", files.pki().display()),
            format!("--service-cluster-ip-range={SERVICE_RANGES}"),
            "--authorization-mode=Node,RBAC".into(),
            format!("--token-auth-file={}", files.pki_file("tokens.csv")),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!(
                "--service-account-key-file={}",
                files.pki_file("accounts.pub")
            ),
            format!(
                "--service-account-signing-key-file={}",
                files.pki_file("accounts.key")
            ),
            "--allow-privileged=true".into(),
            "--profiling=false".into(),
        ],
    )
}

/// kube-controller-manager with its controllers' own service accounts, without leader election.
pub fn controllers(programs: &Programs, control: &Netns, files: &Files) -> Launch {
    let kubeconfig = files.kubeconfig("system:kube-controller-manager");
    launch(
        programs,
        "kube-controller-manager",
        control,
        vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--leader-elect=false".into(),
            "--use-service-account-credentials=true".into(),
            format!(
                "--service-account-private-key-file={}",
                files.pki_file("accounts.key")
            ),
            format!("--root-ca-file={}", files.authority().display()),
            "--profiling=false".into(),
        ],
    )
}

/// kube-proxy of one node in nftables mode. In a namespace it may not size the connection table,
/// which the kernel keeps for all of them.
pub fn proxy(programs: &Programs, node: NodeNumber, machine: &Netns, files: &Files) -> Launch {
    let mut launch = launch(
        programs,
        "kube-proxy",
        machine,
        vec![
            format!(
                "--kubeconfig={}",
                files.kubeconfig("system:kube-proxy").display()
            ),
            format!("--hostname-override={}", node.name()),
            "--proxy-mode=nftables".into(),
            "--conntrack-max-per-core=0".into(),
            format!("--cluster-cidr={POD_RANGES}"),
        ],
    );
    launch.name = format!("kube-proxy-{}", node.0);
    launch
}

/// How long a control-plane program may take to end before it is killed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Stops the API server, then etcd.
pub fn stop(apiserver: &mut Program, etcd: &mut Program) {
    apiserver.terminate(PATIENCE);
    etcd.terminate(PATIENCE);
}

fn launch(programs: &Programs, name: &str, netns: &Netns, arguments: Vec<String>) -> Launch {
    let (path, mut all) = programs.control_plane(name);
    all.extend(arguments);
    Launch {
        name: name.to_owned(),
        netns: netns.clone(),
        path,
        arguments: all,
        environment: Vec::new(),
    }
}
