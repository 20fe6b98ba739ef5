"""Pushes the fixed measurements of ../README.md with the OpenTelemetry SDK for Python.

Everything else is told by the standard OTEL_* variables; `--all-delta` makes every kind of instrument delta. Ends with
1 when an export failed.
"""

import os
import sys
import time

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

PROTOCOL = os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]
if PROTOCOL == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
elif PROTOCOL == "http/protobuf":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
else:
    sys.exit(f"the SDK for Python has no exporter for {PROTOCOL}")

NEVER_MS = 3_600_000
KINDS = [Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge]


class Exporter(OTLPMetricExporter):
    """The SDK's exporter; counts what went well and what did not."""

    exported = 0
    failed = 0

    def export(self, *args, **kwargs):
        result = super().export(*args, **kwargs)
        if result is MetricExportResult.SUCCESS:
            self.exported += 1
        else:
            self.failed += 1
        return result


def main() -> int:
    everything_delta = {kind: AggregationTemporality.DELTA for kind in KINDS}
    all_delta = sys.argv[1:] == ["--all-delta"]
    exporter = Exporter(preferred_temporality=everything_delta if all_delta else None)
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(exporter, export_interval_millis=NEVER_MS)],
        views=[
            View(instrument_name="payload", aggregation=ExponentialBucketHistogramAggregation(max_size=4)),
            View(instrument_name="price", aggregation=ExponentialBucketHistogramAggregation()),
        ],
    )
    meter = provider.get_meter("checkout", "1.0")
    now = 0

    def observe(values, attributes):
        return [lambda _: [Observation(values[now], attributes)]]

    orders = meter.create_counter("orders", unit="1")
    revenue = meter.create_counter("revenue", unit="EUR")
    refunds = meter.create_counter("refunds", unit="{refund}")
    queue_depth = meter.create_up_down_counter("queue.depth")
    balance = meter.create_up_down_counter("balance", unit="USD")
    temperature = meter.create_gauge("temperature", unit="Cel")
    workers = meter.create_gauge("workers")
    latency = meter.create_histogram("latency", unit="ms", explicit_bucket_boundaries_advisory=[10.0, 100.0])
    payload = meter.create_histogram("payload", unit="By")
    price = meter.create_histogram("price", unit="EUR")
    meter.create_observable_counter("cpu.time", observe([10.5, 12.75, 20.0], {"cpu": 0}), unit="s")
    meter.create_observable_up_down_counter("connections", observe([7, 3, 5], {"pool": "db"}))
    meter.create_observable_gauge("memory", observe([1048576, 2097152, 524288], {}), unit="By")
    meter.create_observable_gauge("load", observe([0.25, 0.5, 0.75], {}))

    eu, us = {"region": "eu"}, {"region": "us"}
    mixed = {"region": "eu", "status": 200, "cached": True, "ratio": 0.5, "zones": ["a", "b"]}
    for now in range(3):
        orders.add([5, 7, 1][now], eu)
        orders.add([2, 4, 3][now], us)
        revenue.add([1.5, 2.25, 0.25][now], mixed)
        if now == 0:
            refunds.add(1)
        queue_depth.add([10, -4, -7][now])
        balance.add([0.5, -1.25, 0.25][now])
        temperature.set([21.5, -3.25, 0.0][now], {"room": "a"})
        workers.set([4, 9, 2][now], {"room": "a"})
        for value in [[3.0, 8.0, 250.0], [40.0, 1.0], [500.0]][now]:
            latency.record(value, eu)
        for value in [[0, 1, 3, 8], [1, 2, 2, 8], [1, 8, 8]][now]:
            payload.record(value, eu)
        for value in [[1.0, 2.0, 4.0], [1.5, 4.0, 1.0], [1.0, 4.0]][now]:
            price.record(value, us)
        if now < 2:
            provider.force_flush()
            time.sleep(0.01)  # the next export is of another millisecond
    provider.shutdown()  # exports the last round
    print(f"{exporter.exported} exports, {exporter.failed} failed")
    return 0 if (exporter.exported, exporter.failed) == (3, 0) else 1


if __name__ == "__main__":
    sys.exit(main())
