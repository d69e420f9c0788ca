"""The provider: where spans go, as the program or the environment says.

A program that sets a tracer provider before its worker opens has the say. Otherwise the variables
of OpenTelemetry's own count (`OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_ENDPOINT` …). Nothing of
OpenTelemetry is imported where neither says anything; it is an optional dependency.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

_EXPORTERS = "opentelemetry_traces_exporter"  # the group of entry points under which exporters are registered

_own: Any = None  # the provider that this module made; a process has one


def is_own(provider: Any) -> bool:
    """Tell whether a provider was made here, so that workers have to flush it."""
    return provider is _own


def find_provider() -> Any:
    """Give the tracer provider that was set in this process, or None."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def asked_exporters(environ: Mapping[str, str]) -> list[str]:
    """Give the names of the exporters that the environment asks for, as entry points know them."""
    text = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not text and (environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        text = "otlp"
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if "none" in names else [otlp if name == "otlp" else name for name in names]


def make_provider(names: list[str]) -> Any:
    """Set a provider for this process that sends spans to the exporters of these names."""
    global _own
    if not names:
        return None
    from importlib.metadata import entry_points  # a tenth of the time of `import wf`, for who asks for an exporter

    trace, sdk = import_module("opentelemetry.trace"), import_module("opentelemetry.sdk.trace")
    export, resources = import_module("opentelemetry.sdk.trace.export"), import_module("opentelemetry.sdk.resources")
    asked = resources.OTELResourceDetector().detect()
    # Not shut down at exit: that would wait for a collector that is down. Workers flush as they leave.
    provider = sdk.TracerProvider(
        resource=resources.Resource.create({"service.name": "wf", **asked.attributes}), shutdown_on_exit=False
    )
    for name in names:
        found = next(iter(entry_points(group=_EXPORTERS, name=name)), None)
        if found is None:
            raise LookupError(f"no exporter {name!r} is installed")
        provider.add_span_processor(export.BatchSpanProcessor(found.load()()))
    trace.set_tracer_provider(provider)
    _own = provider
    return provider
