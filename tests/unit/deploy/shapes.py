"""Values that the chart is rendered with: one set for each way to deploy."""

from typing import Any

from tests.unit.deploy import helm

CPU: dict[str, Any] = {}
GPU = {"worker": {"enabled": False}, "gpuWorker": {"enabled": True}}
SCALED = {"worker": {"autoscaling": {"enabled": True}}}
SCALED_GPU = helm.merged(GPU, {"gpuWorker": {"concurrency": 2, "autoscaling": {"enabled": True}}})
WATCHED = {
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "networkPolicy": {
        "clients": [{"podSelector": {"matchLabels": {"app": "proxy"}}}],
        "monitoring": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    },
}
EVERYTHING = helm.merged(
    *(SCALED, WATCHED),
    {
        "image": {"pullSecrets": [{"name": "pull"}], "api": {"digest": "sha256:" + "0" * 64}},
        "database": {"readerSecret": "reader"},
        "artifacts": {"existingClaim": "artifacts", "credentialsSecret": "s3"},
        "models": {"existingClaim": "models", "allowHub": True},
        "settings": {"DTYPE": "bfloat16", "LEASE_SECONDS": 90, "LOG_LEVEL": "debug"},
        "serviceAccount": {"annotations": {"example.com/role": "featuredrift"}},
        "extraEnv": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        "api": {
            "envSecret": "mlflow",
            "podAnnotations": {"a": "b"},
            "nodeSelector": {"pool": "small"},
            "tolerations": [{"key": "small", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
        },
        "networkPolicy": {
            "postgres": {"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}]},
            "extraEgress": [{"ports": [{"protocol": "TCP", "port": 4318}]}],
        },
    },
)
KEYED: dict[str, Any] = {"api": {"keysSecret": "keys", "allowUnauthenticatedBind": False}}
SHAPES = {
    "cpu": CPU,
    "gpu": GPU,
    "scaled": SCALED,
    "scaled gpu": SCALED_GPU,
    "everything": EVERYTHING,
    "keyed": KEYED,
    "no workers": {"worker": {"enabled": False}},
    "little": {
        "serviceAccount": {"create": False},
        "migration": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    },
}
