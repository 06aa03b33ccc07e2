//! The lab: Herald on a real control plane, in one disposable set of namespaces.
//!
//! Real are etcd, kube-apiserver, kube-controller-manager, kube-proxy, kubectl, the kernel's network
//! stack, and Herald's own programs. A namespace stands for a machine, a small HTTP server for a pod,
//! and [`standin`] for the kubelet, which is the only part that is not the real thing.
//!
//! It is not a test framework: scenarios are plain functions over a [`lab::Lab`].
//!
//! How it lives: [`sandbox`] re-executes the program as the first process of new namespaces; whatever
//! ends that process ends everything in them, and the kernel takes the network down.

pub mod api;
pub mod asker;
pub mod capture;
pub mod clock;
pub mod controlplane;
pub mod demo;
pub mod faults;
pub mod figures;
pub mod herald;
pub mod http;
pub mod lab;
pub mod measure;
pub mod neigh;
pub mod netns;
pub mod pod;
pub mod pods;
pub mod probe;
pub mod program;
pub mod programs;
pub mod routers;
pub mod sandbox;
pub mod scenarios;
pub mod services;
pub mod stalls;
pub mod standin;
pub mod switch;
pub mod tap;
pub mod telling;
pub mod topology;
pub mod urgency;
pub mod wire;
