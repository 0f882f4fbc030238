//! The driver that runs agents in pods of Kubernetes, one for each shard.
//!
//! A pod does nothing by itself. The agent runs in it through `kubectl exec`, whose
//! stdio is the stream.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::remote::DriverOptions;

/// Image of the pods, unless another is described: it has a shell and a C library.
const IMAGE: &str = "debian:stable-slim";
/// Name of the container in which the agent runs.
const CONTAINER: &str = "agent";
/// Label of the pods of a run, so that they are spread over the nodes.
const RUN: &str = "ansar-run";
/// Variables that the agent reads, and the fields of a pod that they get: the name of
/// the node, and the address of the pod.
const VARIABLES: [(&str, &str); 2] = [
    ("ANSAR_NODE", "spec.nodeName"),
    ("ANSAR_ADDRESS", "status.podIP"),
];
/// Time after which a pod ends in every case.
const TIME_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Creates a pod, asks until it is ready, and becomes the command that runs the agent
/// in it. Repeats why the pod is not ready on stderr.
///
/// `kubectl wait` would need two more rights, and says nothing without them.
const PLACE: &str = r#"pod=$1 name=$2 boot=$3; shift 3
printf %s "$pod" | kubectl "$@" create -f - >/dev/null || exit 1
state='{.status.conditions[?(@.type=="Ready")].status} {.status.phase}: {..message}'
while :; do
  why=$(kubectl "$@" get pod "$name" -o "jsonpath=$state" </dev/null) || exit 1
  case $why in True*) break ;; esac
  printf '%s\n' "${why#* }" >&2
  case ${why#* } in Failed*|Succeeded*) exit 1 ;; esac
  sleep 0.3
done
exec kubectl "$@" exec -i "$name" -c agent -- sh -c "$boot""#;

/// Returns the words that run `script` in a pod of this name.
pub(super) fn place(options: &DriverOptions, name: &str, script: &str) -> Vec<String> {
    let pod = pod(options, name).to_string();
    let words = ["/bin/sh", "-c", PLACE, "kubectl", &pod, name, script];
    let words = words.map(str::to_owned).into_iter();
    words.chain(general(options)).collect()
}

/// Options that delete pods, and do not wait for their nodes.
const DELETE: [&str; 4] = [
    "--ignore-not-found",
    "--wait=false",
    "--grace-period=0",
    "--force",
];

/// Returns the words that delete the pods of these names.
///
/// They are no longer listed at once. Usually, a node first confirms that its pod has
/// ended, which takes several seconds, and never happens if the node is out of reach.
/// Nothing depends on it here: the agent has ended, with its stream or with its
/// lease. The rest of the pod does nothing. Its node ends it as soon as it learns of
/// the deletion.
pub(super) fn release(options: &DriverOptions, names: &[String]) -> Vec<String> {
    let words = [&["delete", "pods"], &DELETE[..]].concat();
    kubectl(options, &words, names)
}

/// Returns the words that list the pods of these names.
pub(super) fn look(options: &DriverOptions, names: &[String]) -> Vec<String> {
    let words = ["get", "pods", "--ignore-not-found", "--output=name"];
    kubectl(options, &words, names)
}

fn kubectl(options: &DriverOptions, words: &[&str], names: &[String]) -> Vec<String> {
    let all = std::iter::once("kubectl".to_owned()).chain(general(options));
    let all = all.chain(words.iter().map(|&word| word.to_owned()));
    all.chain(names.iter().cloned()).collect()
}

/// Returns the options of every `kubectl`.
fn general(options: &DriverOptions) -> impl Iterator<Item = String> {
    let namespace = options.namespace.iter();
    let namespace = namespace.map(|name| format!("--namespace={name}"));
    let described = options.args.iter().flatten().chain(&options.more_args);
    namespace.chain(described.cloned())
}

/// Returns the pod of this name: ours, with what the user describes merged over it.
fn pod(options: &DriverOptions, name: &str) -> Value {
    let seconds = options.time_limit.unwrap_or(TIME_LIMIT).as_secs().max(1);
    let run = name.rsplit_once('-').map_or(name, |(run, _)| run);
    // The first process of a pod ignores signals that it does not handle.
    let idle = format!("trap 'exit 0' TERM; sleep {seconds} & wait");
    let variables = VARIABLES.map(
        |(name, field)| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}),
    );
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "cargo-ansar"}},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "topologySpreadConstraints": [{
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {RUN: run}},
            }],
            "containers": [{
                "image": options.image.as_deref().unwrap_or(IMAGE),
                "command": ["/bin/sh", "-c", idle],
                "env": variables,
            }],
        },
    });
    if let Some(template) = &options.pod_template {
        merge(&mut pod, template);
    }
    // What the commands above rely on.
    pod["metadata"]["name"] = name.into();
    pod["metadata"]["labels"][RUN] = run.into();
    pod["spec"]["containers"][0]["name"] = CONTAINER.into();
    pod
}

/// Checks that a description of a pod can be merged over ours.
///
/// # Errors
///
/// Returns the path of the part that has another type than in a pod.
pub(super) fn check(template: &Value) -> Result<(), &'static str> {
    const CONTAINERS: &str = "/spec/containers";
    let is_object = |path: &'static str| match template.pointer(path) {
        Some(value) if !value.is_object() => Err(path),
        _ => Ok(()),
    };
    for path in ["", "/metadata", "/metadata/labels", "/spec"] {
        is_object(path)?;
    }
    match template.pointer(CONTAINERS) {
        Some(Value::Array(all)) if all.iter().all(Value::is_object) => Ok(()),
        Some(_) => Err(CONTAINERS),
        None => Ok(()),
    }
}

/// Merges `over` into a value: the fields of objects one by one, and the first
/// element of `containers` into ours. Everything else replaces what is there.
fn merge(value: &mut Value, over: &Value) {
    let (Value::Object(fields), Value::Object(over)) = (&mut *value, over) else {
        value.clone_from(over);
        return;
    };
    for (name, over) in over {
        match (name.as_str(), fields.get_mut(name), over) {
            ("containers", Some(Value::Array(own)), Value::Array(over)) => {
                for (own, over) in own.iter_mut().zip(over) {
                    merge(own, over);
                }
                let known = own.len();
                own.extend(over.iter().skip(known).cloned());
            }
            (_, Some(own), over) => merge(own, over),
            (_, None, over) => {
                fields.insert(name.clone(), over.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> DriverOptions {
        DriverOptions {
            namespace: Some("ci".to_owned()),
            more_args: vec!["--context=x".to_owned()],
            ..DriverOptions::default()
        }
    }

    #[test]
    fn every_command_has_the_general_options() {
        let names = ["a-0".to_owned(), "a-1".to_owned()];
        let general = "kubectl --namespace=ci --context=x";
        assert_eq!(
            release(&options(), &names).join(" "),
            format!("{general} delete pods {} a-0 a-1", DELETE.join(" "))
        );
        assert_eq!(
            look(&options(), &names).join(" "),
            format!("{general} get pods --ignore-not-found --output=name a-0 a-1")
        );
        let placed = place(&options(), "a-0", "echo x");
        assert_eq!(placed[..4], ["/bin/sh", "-c", PLACE, "kubectl"]);
        assert_eq!(
            placed[5..],
            ["a-0", "echo x", "--namespace=ci", "--context=x"]
        );
    }

    #[test]
    fn a_template_is_merged_over_the_pod() {
        let template = json!({
            "metadata": {"name": "other", "annotations": {"a": "b"}},
            "spec": {
                "hostNetwork": true,
                "activeDeadlineSeconds": 9,
                "containers": [{"name": "x", "resources": {"limits": {"cpu": "2"}}}, {"name": "db"}],
            },
        });
        let options = DriverOptions {
            image: Some("own:1".to_owned()),
            pod_template: Some(template),
            ..options()
        };
        let pod = pod(&options, "ansar-a-1");
        let expected = json!({
            "name": "ansar-a-1",
            "annotations": {"a": "b"},
            "labels": {"app.kubernetes.io/managed-by": "cargo-ansar", "ansar-run": "ansar-a"},
        });
        assert_eq!(pod["metadata"], expected);
        assert_eq!(pod["spec"]["activeDeadlineSeconds"], 9);
        assert_eq!(pod["spec"]["hostNetwork"], true);
        assert_eq!(pod["spec"]["restartPolicy"], "Never");
        let containers = pod["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 2);
        assert_eq!(containers[0]["name"], "agent");
        assert_eq!(containers[0]["image"], "own:1");
        assert_eq!(containers[0]["resources"]["limits"]["cpu"], "2");
        assert_eq!(containers[1], json!({"name": "db"}));
    }

    #[test]
    fn a_template_has_the_types_of_a_pod() {
        for (template, path) in [
            (json!(1), ""),
            (json!({"spec": []}), "/spec"),
            (json!({"metadata": "x"}), "/metadata"),
            (json!({"metadata": {"labels": null}}), "/metadata/labels"),
            (json!({"spec": {"containers": {}}}), "/spec/containers"),
            (json!({"spec": {"containers": [1]}}), "/spec/containers"),
        ] {
            assert_eq!(check(&template), Err(path), "{template}");
        }
        for template in [json!({}), json!({"spec": {"containers": []}})] {
            assert_eq!(check(&template), Ok(()), "{template}");
            let options = DriverOptions {
                pod_template: Some(template),
                ..options()
            };
            assert_eq!(pod(&options, "a-0")["metadata"]["name"], "a-0");
        }
    }
}
