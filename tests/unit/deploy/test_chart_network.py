"""Who reaches whom: services, network policies, and what Prometheus scrapes."""

import re

import yaml

from tests.unit.deploy import helm
from tests.unit.deploy.installed import ROOT
from tests.unit.deploy.shapes import EVERYTHING, KEYED, WATCHED


def test_with_keys_nothing_is_open_and_the_scraper_has_one_of_its_own() -> None:
    resources = helm.render(KEYED, WATCHED, {"networkPolicy": {"enabled": False}})
    variables = {item["name"]: item for item in helm.pods(resources)["api"]["containers"][0]["env"]}
    monitors = helm.of_kind(resources, "ServiceMonitor")

    assert variables["FEATUREDRIFT_REQUIRE_KEYS"]["value"] == "true"
    assert "FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND" not in variables
    for name, key, optional in (
        ("KEY_PEPPER", "key-pepper", None),
        ("BOOTSTRAP_KEY", "bootstrap-key", True),
        ("METRICS_KEY", "metrics-key", True),
    ):
        source = variables[f"FEATUREDRIFT_{name}"]["valueFrom"]["secretKeyRef"]
        assert (source["name"], source["key"], source.get("optional")) == ("keys", key, optional)
    (endpoint,) = monitors["api"]["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "keys", "key": "metrics-key"}}
    assert "authorization" not in monitors["exporter"]["spec"]["endpoints"][0]
    assert "asks for a key" in helm.notes(helm.merged(helm.MINIMAL, KEYED))
    assert helm.lint(helm.merged(helm.MINIMAL, KEYED)) == []


def test_services_find_their_pods(resources: list[helm.Resource]) -> None:
    deployments = helm.of_kind(resources, "Deployment")
    services = helm.of_kind(resources, "Service")

    assert set(services) == {"api", "exporter"}
    for component, service in services.items():
        template = deployments[component]["spec"]["template"]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        assert service["spec"]["type"] == "ClusterIP"
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports


def test_no_pod_but_those_named_reaches_the_api(
    rendered: dict[str, list[helm.Resource]],
) -> None:
    closed = helm.of_kind(rendered["cpu"], "NetworkPolicy")
    opened = helm.of_kind(rendered["everything"], "NetworkPolicy")

    assert closed["api"]["spec"]["ingress"] == []
    assert closed["exporter"]["spec"]["ingress"] == []
    [rule] = opened["api"]["spec"]["ingress"]
    network = EVERYTHING["networkPolicy"]
    assert rule["from"] == network["clients"] + network["monitoring"]
    assert opened["exporter"]["spec"]["ingress"][0]["from"] == network["monitoring"]


def test_every_pod_starts_from_nothing_allowed(resources: list[helm.Resource]) -> None:
    policies = helm.of_kind(resources, "NetworkPolicy")
    none = policies["watch-featuredrift-none"]["spec"]

    assert none["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(none)
    for kind in ("Deployment", "Job"):
        for workload in helm.of_kind(resources, kind).values():
            labels = workload["spec"]["template"]["metadata"]["labels"]
            assert none["podSelector"]["matchLabels"].items() <= labels.items()
    for policy in policies.values():
        # An empty list of peers in a rule that lets in means everybody.
        assert all(rule.get("from") for rule in policy["spec"].get("ingress", []))


def test_egress_is_what_each_process_needs(rendered: dict[str, list[helm.Resource]]) -> None:
    policies = helm.of_kind(rendered["cpu"], "NetworkPolicy")

    def ports(component: str) -> set[int]:
        rules = policies[component]["spec"].get("egress", [])
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert ports("watch-featuredrift-all") == {53, 5432}
    assert ports("api") == {443}
    assert ports("dispatcher") == ports("worker") == {443, 6379}
    assert ports("exporter") == set()
    everything = helm.of_kind(rendered["everything"], "NetworkPolicy")
    database = everything["watch-featuredrift-all"]["spec"]["egress"][1]
    assert (
        everything["watch-featuredrift-all"]["spec"]["egress"][2:]
        == (EVERYTHING["networkPolicy"]["extraEgress"])
    )
    assert database["to"] == EVERYTHING["networkPolicy"]["postgres"]["to"]


def test_monitors_point_at_the_services(rendered: dict[str, list[helm.Resource]]) -> None:
    services = helm.of_kind(rendered["everything"], "Service")
    monitors = helm.of_kind(rendered["everything"], "ServiceMonitor")

    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    limits = {job["job_name"]: job.get("sample_limit") for job in configuration["scrape_configs"]}

    assert set(monitors) == {"api", "exporter"}
    for component, monitor in monitors.items():
        spec, service = monitor["spec"], services[component]
        assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        [endpoint] = spec["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["path"] == "/metrics"
        assert spec["namespaceSelector"] == {"matchNames": ["ml"]}
        assert spec["sampleLimit"] == limits[f"featuredrift-{component}"]
        [relabeling] = endpoint["relabelings"]
        assert relabeling == {
            "targetLabel": "job",
            "replacement": f"watch-featuredrift-{component}",
        }
        assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_job_has_the_name_that_the_rules_look_for() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
    patterns = {
        pattern
        for path in rules
        for pattern in re.findall(r'job=~"([^"]+exporter)"', path.read_text())
    }
    renamed = helm.render(WATCHED, {"fullnameOverride": "drift"})
    monitor = helm.of_kind(renamed, "ServiceMonitor")["exporter"]
    job = monitor["spec"]["endpoints"][0]["relabelings"][0]["replacement"]

    assert patterns
    assert job == "featuredrift-drift-exporter"
    assert all(re.fullmatch(pattern, job) for pattern in patterns)


def test_the_rules_are_those_of_prometheus(rendered: dict[str, list[helm.Resource]]) -> None:
    rules = helm.of_kind(rendered["everything"], "PrometheusRule")
    files = {
        f"watch-featuredrift-{path.stem}": yaml.safe_load(path.read_text())
        for path in (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
    }

    assert files
    assert {name: rule["spec"] for name, rule in rules.items()} == files
