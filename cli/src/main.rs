//! heraldctl: what Herald does, why an address is not reachable, what is wrong with a manifest.
//!
//! `cluster` reads the live objects and `manifests` reads files; everything that is said about
//! them is computed by pure functions (`facts`, `status`, `sessions`, `pools`, `explain`, `check`)
//! from the same `config` and `model` that the controller and the speakers run.

mod check;
mod cluster;
mod explain;
mod facts;
#[cfg(test)]
mod fixture;
mod holders;
mod manifests;
mod pools;
mod sessions;
mod status;
mod table;
mod uninstall;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use herald_config::service::Class;
use herald_model::service::ServiceKey;
use serde::Serialize;

/// Shows what Herald does, explains why an address is not reachable, and checks manifests.
#[derive(Debug, Parser)]
#[command(name = "heraldctl", version, arg_required_else_help = true)]
struct Arguments {
    /// Kubeconfig file; without it $KUBECONFIG, ~/.kube/config or the pod's ServiceAccount
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Namespace that Herald is installed in
    #[arg(long, global = true, default_value = "herald-system")]
    herald_namespace: String,

    /// loadBalancerClass that Herald serves, as its programs are told
    #[arg(long, global = true, default_value = herald_config::service::DEFAULT_CLASS)]
    lb_class: String,

    /// Whether Herald serves Services without a loadBalancerClass, too, as its programs are told
    #[arg(long, global = true, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    classless: bool,

    /// Form of the output
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pools, advertisements, speakers, the controller, and every Service with its state
    Status,
    /// One ordered list of checks for one Service; exit code 1 when one fails
    Explain {
        #[command(subcommand)]
        what: Explained,
    },
    /// Every BGP session of every node: state, prefixes, last error
    Sessions {
        /// Nodes to show; without any, all
        #[arg(value_name = "NODE")]
        nodes: Vec<String>,
    },
    /// What each pool has, and who holds it
    Pools {
        /// Pools to show; without any, all
        #[arg(value_name = "POOL")]
        names: Vec<String>,
    },
    /// Reads manifests without a cluster and lists what is wrong; exit code 1 when something is
    Check {
        /// Lay the manifests over the cluster's objects, and list also whose addresses would change;
        /// nothing is applied
        #[arg(long)]
        live: bool,
        /// Files or directories of YAML manifests; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Which Services keep addresses from Herald when it is deleted, and in which order to delete it
    Uninstall {
        /// Take the addresses and everything else of Herald's off the Services; its controllers must have
        /// ended
        #[arg(long)]
        release: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Explained {
    /// Why a Service has no address, or why its address is not reachable
    #[command(visible_alias = "service")]
    Svc {
        /// Namespace and name; a name alone is in namespace default
        #[arg(value_name = "NAMESPACE/NAME")]
        service: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("heraldctl: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// True when everything that was looked at is as it should be.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let output = arguments.output;
    match &arguments.command {
        Command::Status => {
            let facts = live(&arguments).await?;
            let status = status::status(&facts);
            print(output, &status, status::text)?;
            Ok(true)
        }
        Command::Explain {
            what: Explained::Svc { service },
        } => {
            let key = service_key(service)?;
            let facts = live(&arguments).await?;
            let explanation = explain::explain(&facts, &key);
            print(output, &explanation, explain::text)?;
            Ok(explanation.ok)
        }
        Command::Sessions { nodes } => {
            let facts = live(&arguments).await?;
            let sessions = sessions::sessions(&facts, nodes)?;
            print(output, &sessions, sessions::text)?;
            Ok(true)
        }
        Command::Pools { names } => {
            let facts = live(&arguments).await?;
            let pools = pools::pools(&facts, names)?;
            print(output, &pools, pools::text)?;
            Ok(true)
        }
        Command::Check { live, files } => {
            let documents = manifests::read(files)?;
            let report = match live {
                false => check::check(&documents),
                true => {
                    let cluster = objects(&arguments).await?;
                    check::check_live(&documents, cluster, &class(&arguments))
                }
            };
            print(output, &report, check::text)?;
            Ok(report.ok)
        }
        Command::Uninstall { release } => {
            let client = cluster::connect(arguments.kubeconfig.as_deref()).await?;
            let namespace = &arguments.herald_namespace;
            let report = uninstall::uninstall(&client, namespace, *release).await?;
            print(output, &report, uninstall::text)?;
            Ok(report.is_done())
        }
    }
}

async fn objects(arguments: &Arguments) -> anyhow::Result<cluster::Cluster> {
    let client = cluster::connect(arguments.kubeconfig.as_deref()).await?;
    cluster::read(&client, &arguments.herald_namespace).await
}

async fn live(arguments: &Arguments) -> anyhow::Result<facts::Facts> {
    let objects = objects(arguments).await?;
    Ok(facts::Facts::new(objects, &class(arguments)))
}

fn class(arguments: &Arguments) -> Class {
    Class {
        name: arguments.lb_class.clone(),
        classless: arguments.classless,
    }
}

fn service_key(text: &str) -> anyhow::Result<ServiceKey> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        anyhow::bail!("\"{text}\" does not name a Service: write NAMESPACE/NAME");
    }
    Ok(ServiceKey::new(namespace, name))
}

fn print<T: Serialize>(output: Output, value: &T, text: fn(&T) -> String) -> anyhow::Result<()> {
    let text = match output {
        Output::Text => text(value),
        Output::Json => serde_json::to_string_pretty(value).context("output as JSON")? + "\n",
    };
    // A reader that has seen enough (head, less) is not an error.
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn explain_takes_svc_and_service_and_flags_anywhere() {
        for word in ["svc", "service"] {
            let line = ["heraldctl", "explain", word, "shop/web", "--output", "json"];
            assert!(Arguments::try_parse_from(line).is_ok(), "{word}");
        }
    }

    #[test]
    fn a_service_is_named_by_namespace_and_name() {
        assert_eq!(
            service_key("shop/web").unwrap(),
            ServiceKey::new("shop", "web")
        );
        assert_eq!(
            service_key("web").unwrap(),
            ServiceKey::new("default", "web")
        );
        for wrong in ["", "/", "shop/", "/web", "a/b/c"] {
            assert!(service_key(wrong).is_err(), "{wrong}");
        }
    }
}
