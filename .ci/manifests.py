"""Checks docs/kubernetes: the manifests against Kubernetes' own schemas, and against one another.

The schemas come with the package kubernetes-validate (.ci/python-tools.txt); strict ones, which reject unknown fields.
That of the ServiceMonitor belongs to the Prometheus Operator and is not among them: the fields that it needs are
checked here by hand.
"""

import importlib.util
import json
import pathlib
import re
import sys

import jsonschema
from ruamel.yaml import YAML

# The oldest that the package has, and the newest.
VERSIONS = ("1.25", "1.37")
FOLDER = pathlib.Path("docs/kubernetes")
# Found, not imported: the package's code needs more packages, and only its data are wanted.
SCHEMAS = pathlib.Path(importlib.util.find_spec("kubernetes_validate").origin).parent / "kubernetes-json-schema"

complaints = []


def demand(condition, complaint):
    if not condition:
        complaints.append(complaint)


def documents():
    """Every manifest of the folder, and those in the fenced blocks of its README."""
    yaml = YAML(typ="safe", pure=True)
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.load_all(path.read_text()):
            yield path, document
    readme = FOLDER / "README.md"
    for block in re.findall(r"^```yaml\n(.*?)^```", readme.read_text(), re.M | re.S):
        yield readme, yaml.load(block)


def check_schema(path, document, version):
    group, _, api = document["apiVersion"].rpartition("/")
    name = "-".join(part for part in (document["kind"].lower(), group.split(".")[0], api) if part)
    folder = SCHEMAS / f"v{version}.0-local-strict"
    file = folder / f"{name}.json"
    if not file.exists():
        complaints.append(f"{path}: Kubernetes {version} knows no {document['kind']} of {document['apiVersion']}")
        return
    schema = json.loads(file.read_text())
    # References lead to one file of definitions, whose path is an address that no server has.
    definitions = json.loads((folder / "_definitions.json").read_text())
    resolver = jsonschema.RefResolver.from_schema(schema, store={"/api/_definitions.json": definitions})
    for error in jsonschema.Draft7Validator(schema, resolver=resolver).iter_errors(document):
        field = ".".join(str(part) for part in error.absolute_path)
        complaints.append(f"{path}: {field}: {error.message} (Kubernetes {version})")


def check_monitor(monitor, service):
    spec = monitor["spec"]
    demand(set(spec) <= {"selector", "endpoints", "namespaceSelector", "jobLabel"}, f"ServiceMonitor: unknown among {set(spec)}")
    labels = spec["selector"]["matchLabels"]
    demand(labels and labels.items() <= service["metadata"]["labels"].items(), "ServiceMonitor: does not select the Service")
    names = {port["name"] for port in service["spec"]["ports"]}
    demand(spec["endpoints"], "ServiceMonitor: no endpoints")
    for endpoint in spec["endpoints"]:
        demand(endpoint["port"] in names, f"ServiceMonitor: the Service has no port named {endpoint['port']}")
        demand(endpoint["path"] == "/metrics", "ServiceMonitor: the metrics are at /metrics")
        seconds = [int(endpoint[field].removesuffix("s")) for field in ("scrapeTimeout", "interval")]
        demand(seconds[0] <= seconds[1], "ServiceMonitor: scrapeTimeout is longer than interval")


def check_together(deployment, service):
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    demand(deployment["spec"]["selector"]["matchLabels"].items() <= labels, "Deployment: does not select its own pods")
    demand(service["spec"]["selector"].items() <= labels, "Service: does not select the pods")
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for port in service["spec"]["ports"]:
        demand(port["targetPort"] in ports, f"Service: the pods have no port named {port['targetPort']}")
    arguments = [str(argument) for argument in container["args"]]
    value = lambda flag: arguments[arguments.index(flag) + 1]
    demand(value("--listen") == f"0.0.0.0:{ports['http']}", "Deployment: --listen is not the port that is named http")
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    demand(grace > int(value("--grace")), f"Deployment: {grace} s are no longer than --grace")
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asks = container[probe]["httpGet"]
        demand((asks["path"], asks["port"]) == (path, "http"), f"Deployment: {probe} asks {asks}")
    url = next(variable for variable in container["env"] if variable["name"] == "KENNEL_STORE")
    demand("secretKeyRef" in url.get("valueFrom", {}), "Deployment: the URL of the database comes from a Secret")


found = {}
for path, document in documents():
    found[document["kind"]] = document
    for version in VERSIONS if document["kind"] != "ServiceMonitor" else ():
        check_schema(path, document, version)
missing = {"Deployment", "Service", "ServiceMonitor", "HorizontalPodAutoscaler"} - found.keys()
demand(not missing, f"{FOLDER}: there is no {missing}")
# What breaks its schema cannot be compared with others.
if not complaints:
    check_together(found["Deployment"], found["Service"])
    check_monitor(found["ServiceMonitor"], found["Service"])
for complaint in complaints:
    print(complaint, file=sys.stderr)
sys.exit(bool(complaints))
