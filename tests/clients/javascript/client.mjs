// Pushes the fixed measurements of ../README.md with the OpenTelemetry SDK for JavaScript.
//
// Everything else is told by the standard OTEL_* variables; `--all-delta` makes every kind of instrument delta. Ends with
// 1 when an export failed.

import { setTimeout as sleep } from 'node:timers/promises';
import { diag, DiagConsoleLogger, DiagLogLevel, ValueType } from '@opentelemetry/api';
import { OTLPMetricExporter as Grpc } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as HttpJson } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as HttpProtobuf } from '@opentelemetry/exporter-metrics-otlp-proto';
import { defaultResource, detectResources, envDetector } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';

const NEVER_MS = 3_600_000;
const EXPORTERS = { grpc: Grpc, 'http/protobuf': HttpProtobuf, 'http/json': HttpJson };

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);

const protocol = process.env.OTEL_EXPORTER_OTLP_PROTOCOL;
if (!(protocol in EXPORTERS)) {
  throw new Error(`the SDK for JavaScript has no exporter for ${protocol}`);
}
const exporter = new EXPORTERS[protocol]();
if (process.argv[2] === '--all-delta') {
  exporter.selectAggregationTemporality = () => AggregationTemporality.DELTA;
}
// Counts what went well and what did not: the reader only logs it.
let exported = 0;
let failed = 0;
const send = exporter.export.bind(exporter);
exporter.export = (metrics, done) =>
  send(metrics, (result) => {
    if (result.code === 0) {
      exported += 1;
    } else {
      failed += 1;
      console.error(result.error);
    }
    done(result);
  });

const exponential = (options) => ({ type: AggregationType.EXPONENTIAL_HISTOGRAM, options });
const provider = new MeterProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS })],
  views: [
    { instrumentName: 'payload', aggregation: exponential({ recordMinMax: true, maxSize: 4 }) },
    { instrumentName: 'price', aggregation: exponential({ recordMinMax: true }) },
  ],
});
const meter = provider.getMeter('checkout', '1.0');
let now = 0;

const int = { valueType: ValueType.INT };
const orders = meter.createCounter('orders', { ...int, unit: '1' });
const revenue = meter.createCounter('revenue', { unit: 'EUR' });
const refunds = meter.createCounter('refunds', { ...int, unit: '{refund}' });
const queueDepth = meter.createUpDownCounter('queue.depth', int);
const balance = meter.createUpDownCounter('balance', { unit: 'USD' });
const temperature = meter.createGauge('temperature', { unit: 'Cel' });
const workers = meter.createGauge('workers', int);
const latency = meter.createHistogram('latency', { unit: 'ms', advice: { explicitBucketBoundaries: [10, 100] } });
const payload = meter.createHistogram('payload', { ...int, unit: 'By' });
const price = meter.createHistogram('price', { unit: 'EUR' });
const observe = (instrument, values, attributes) =>
  instrument.addCallback((result) => result.observe(values[now], attributes));
observe(meter.createObservableCounter('cpu.time', { unit: 's' }), [10.5, 12.75, 20], { cpu: 0 });
observe(meter.createObservableUpDownCounter('connections', int), [7, 3, 5], { pool: 'db' });
observe(meter.createObservableGauge('memory', { ...int, unit: 'By' }), [1048576, 2097152, 524288], {});
observe(meter.createObservableGauge('load'), [0.25, 0.5, 0.75], {});

const eu = { region: 'eu' };
const us = { region: 'us' };
const mixed = { region: 'eu', status: 200, cached: true, ratio: 0.5, zones: ['a', 'b'] };
for (now = 0; now < 3; now++) {
  orders.add([5, 7, 1][now], eu);
  orders.add([2, 4, 3][now], us);
  revenue.add([1.5, 2.25, 0.25][now], mixed);
  if (now === 0) {
    refunds.add(1);
  }
  queueDepth.add([10, -4, -7][now]);
  balance.add([0.5, -1.25, 0.25][now]);
  temperature.record([21.5, -3.25, 0][now], { room: 'a' });
  workers.record([4, 9, 2][now], { room: 'a' });
  [[3, 8, 250], [40, 1], [500]][now].forEach((value) => latency.record(value, eu));
  [[0, 1, 3, 8], [1, 2, 2, 8], [1, 8, 8]][now].forEach((value) => payload.record(value, eu));
  [[1, 2, 4], [1.5, 4, 1], [1, 4]][now].forEach((value) => price.record(value, us));
  if (now < 2) {
    await provider.forceFlush();
    await sleep(10); // the next export is of another millisecond
  } else {
    await provider.shutdown(); // exports the last round
  }
}
console.log(`${exported} exports, ${failed} failed`);
process.exitCode = exported === 3 && failed === 0 ? 0 : 1;
