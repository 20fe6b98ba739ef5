// Pushes the fixed measurements of ../README.md with the OpenTelemetry SDK for Go.
//
// Everything else is told by the standard OTEL_* variables; --all-delta makes every kind of instrument delta. Ends with
// 1 when an export failed.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

const never = time.Hour

func main() {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(fail))
	ctx := context.Background()
	allDelta := len(os.Args) > 1 && os.Args[1] == "--all-delta"
	reader := sdk.NewPeriodicReader(newExporter(ctx, allDelta), sdk.WithInterval(never))
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(
		exponential("payload", 4),
		exponential("price", 160),
	))
	push(ctx, provider)
}

// newExporter makes the exporter that OTEL_EXPORTER_OTLP_PROTOCOL names.
func newExporter(ctx context.Context, allDelta bool) sdk.Exporter {
	delta := func(sdk.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	var grpcOptions []otlpmetricgrpc.Option
	var httpOptions []otlpmetrichttp.Option
	if allDelta {
		grpcOptions = append(grpcOptions, otlpmetricgrpc.WithTemporalitySelector(delta))
		httpOptions = append(httpOptions, otlpmetrichttp.WithTemporalitySelector(delta))
	}
	switch protocol := os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "grpc":
		return must(otlpmetricgrpc.New(ctx, grpcOptions...))
	case "http/protobuf":
		return must(otlpmetrichttp.New(ctx, httpOptions...))
	default:
		fail(fmt.Errorf("the SDK for Go has no exporter for %q", protocol))
		return nil
	}
}

func exponential(name string, maxSize int32) sdk.View {
	aggregation := sdk.AggregationBase2ExponentialHistogram{MaxSize: maxSize, MaxScale: 20}
	return sdk.NewView(sdk.Instrument{Name: name}, sdk.Stream{Aggregation: aggregation})
}

func push(ctx context.Context, provider *sdk.MeterProvider) {
	meter := provider.Meter("checkout", metric.WithInstrumentationVersion("1.0"))
	now := 0

	orders := must(meter.Int64Counter("orders", metric.WithUnit("1")))
	revenue := must(meter.Float64Counter("revenue", metric.WithUnit("EUR")))
	refunds := must(meter.Int64Counter("refunds", metric.WithUnit("{refund}")))
	queueDepth := must(meter.Int64UpDownCounter("queue.depth"))
	balance := must(meter.Float64UpDownCounter("balance", metric.WithUnit("USD")))
	temperature := must(meter.Float64Gauge("temperature", metric.WithUnit("Cel")))
	workers := must(meter.Int64Gauge("workers"))
	latency := must(meter.Float64Histogram("latency", metric.WithUnit("ms"), metric.WithExplicitBucketBoundaries(10, 100)))
	payload := must(meter.Int64Histogram("payload", metric.WithUnit("By")))
	price := must(meter.Float64Histogram("price", metric.WithUnit("EUR")))
	ints := func(values [3]int64, attributes ...attribute.KeyValue) metric.Int64Callback {
		return func(_ context.Context, observer metric.Int64Observer) error {
			observer.Observe(values[now], metric.WithAttributes(attributes...))
			return nil
		}
	}
	floats := func(values [3]float64, attributes ...attribute.KeyValue) metric.Float64Callback {
		return func(_ context.Context, observer metric.Float64Observer) error {
			observer.Observe(values[now], metric.WithAttributes(attributes...))
			return nil
		}
	}
	must(meter.Float64ObservableCounter("cpu.time", metric.WithUnit("s"),
		metric.WithFloat64Callback(floats([3]float64{10.5, 12.75, 20}, attribute.Int("cpu", 0)))))
	must(meter.Int64ObservableUpDownCounter("connections",
		metric.WithInt64Callback(ints([3]int64{7, 3, 5}, attribute.String("pool", "db")))))
	must(meter.Int64ObservableGauge("memory", metric.WithUnit("By"),
		metric.WithInt64Callback(ints([3]int64{1048576, 2097152, 524288}))))
	must(meter.Float64ObservableGauge("load", metric.WithFloat64Callback(floats([3]float64{0.25, 0.5, 0.75}))))

	eu := metric.WithAttributes(attribute.String("region", "eu"))
	us := metric.WithAttributes(attribute.String("region", "us"))
	room := metric.WithAttributes(attribute.String("room", "a"))
	mixed := metric.WithAttributes(attribute.String("region", "eu"), attribute.Int("status", 200),
		attribute.Bool("cached", true), attribute.Float64("ratio", 0.5), attribute.StringSlice("zones", []string{"a", "b"}))
	for now = 0; now < 3; now++ {
		orders.Add(ctx, []int64{5, 7, 1}[now], eu)
		orders.Add(ctx, []int64{2, 4, 3}[now], us)
		revenue.Add(ctx, []float64{1.5, 2.25, 0.25}[now], mixed)
		if now == 0 {
			refunds.Add(ctx, 1)
		}
		queueDepth.Add(ctx, []int64{10, -4, -7}[now])
		balance.Add(ctx, []float64{0.5, -1.25, 0.25}[now])
		temperature.Record(ctx, []float64{21.5, -3.25, 0}[now], room)
		workers.Record(ctx, []int64{4, 9, 2}[now], room)
		for _, value := range [][]float64{{3, 8, 250}, {40, 1}, {500}}[now] {
			latency.Record(ctx, value, eu)
		}
		for _, value := range [][]int64{{0, 1, 3, 8}, {1, 2, 2, 8}, {1, 8, 8}}[now] {
			payload.Record(ctx, value, eu)
		}
		for _, value := range [][]float64{{1, 2, 4}, {1.5, 4, 1}, {1, 4}}[now] {
			price.Record(ctx, value, us)
		}
		if now < 2 {
			check(provider.ForceFlush(ctx))
			time.Sleep(10 * time.Millisecond) // the next export is of another millisecond
		} else {
			check(provider.Shutdown(ctx)) // exports the last round
		}
	}
	fmt.Println("3 exports, 0 failed")
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
