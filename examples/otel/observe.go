package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// telemetry turns what the packages observe into spans and metrics. This file is
// the one to copy: each method is some Config's Observe.
//
// What took time becomes a span that ends now, a child of the span in the
// context; a moment becomes an event of that span. Everything is counted in
// tokenvault.events, and what took time is in the histogram tokenvault.duration.
// Names from the semantic conventions are used where there are any.
//
// An attribute of a metric has few values. Grants, keys and places are therefore
// on spans alone, and so is a host that a client chose. Subjects are nowhere: they
// are personal data, and an audit log is the better place for them.
type telemetry struct {
	tracer   trace.Tracer
	events   metric.Int64Counter
	duration metric.Float64Histogram
}

const scope = "github.com/seed-6d9a6c17/tokenvault"

func newTelemetry(spans trace.TracerProvider, metrics metric.MeterProvider) (*telemetry, error) {
	meter := metrics.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	events, err := meter.Int64Counter("tokenvault.events", metric.WithUnit("{event}"),
		metric.WithDescription("What the packages of tokenvault observed."))
	if err != nil {
		return nil, err
	}
	// From a verified token that was seen before to a server that does not answer.
	duration, err := meter.Float64Histogram("tokenvault.duration", metric.WithUnit("s"),
		metric.WithDescription("How long it took."),
		metric.WithExplicitBucketBoundaries(1e-5, 1e-4, 1e-3, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	if err != nil {
		return nil, err
	}
	return &telemetry{spans.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)), events, duration}, nil
}

// An observation is what the events of all packages have in common.
type observation struct {
	name   string               // "package.kind"
	client bool                 // we asked host, which our configuration names
	host   string               // with the port, if it has one
	status int                  // of HTTP
	took   time.Duration        // 0: a moment
	err    error                // a sentinel
	labels []attribute.KeyValue // of few values
	detail []attribute.KeyValue // of any number of values
}

func (t *telemetry) Relay(ctx context.Context, e relay.Event) {
	t.record(ctx, observation{
		name: "relay." + e.Kind, client: e.Kind == "send", host: e.Host, status: e.Status, took: e.Duration, err: e.Err,
		labels: text("tokenvault.caller", e.Caller),
		detail: append(text("tokenvault.place", e.Place), text("tokenvault.key.id", e.KeyID)...),
	})
}

func (t *telemetry) Vault(ctx context.Context, e vault.Event) {
	t.record(ctx, observation{
		name: "vault." + e.Kind, client: e.Host != "", host: e.Host, took: e.Duration, err: e.Err,
		labels: text("tokenvault.provider", e.Provider),
		detail: append(text("tokenvault.grant.id", e.ID), attribute.Int64("tokenvault.grant.generation", e.Generation)),
	})
}

func (t *telemetry) JWKS(ctx context.Context, e jwks.Event) {
	o := observation{
		name: "jwks." + e.Kind, client: e.Kind == jwks.EventFetch, host: e.Host, took: e.Duration, err: e.Err,
		labels: text("tokenvault.issuer", e.Issuer),
	}
	switch e.Kind {
	case jwks.EventVerify:
		o.labels = append(o.labels, attribute.Bool("tokenvault.cached", e.Cached))
	case jwks.EventFetch:
		o.labels = append(o.labels, text("tokenvault.detail", e.Detail)...)
		o.detail = []attribute.KeyValue{attribute.Int("tokenvault.keys", e.Keys), attribute.Int("tokenvault.keys.skipped", e.Skipped)}
	}
	t.record(ctx, o)
}

func (t *telemetry) Phantom(ctx context.Context, e phantom.Event) {
	t.record(ctx, observation{name: "phantom." + e.Kind, client: e.Host != "", host: e.Host, took: e.Duration, err: e.Err})
}

func (t *telemetry) Redact(ctx context.Context, e redact.Event) {
	t.record(ctx, observation{name: "redact." + e.Kind, host: e.Host, took: e.Duration, err: e.Err})
}

func (t *telemetry) SPA(ctx context.Context, e spa.Event) {
	t.record(ctx, observation{
		name: "spa." + e.Kind, host: e.Host, status: e.Status, took: e.Duration, err: e.Err,
		labels: text("tokenvault.reason", e.Reason),
	})
}

// record makes the span, or the span's event, and the metrics.
func (t *telemetry) record(ctx context.Context, o observation) {
	labels := append([]attribute.KeyValue{attribute.String("tokenvault.event", o.name)}, o.labels...)
	if o.status != 0 {
		labels = append(labels, semconv.HTTPResponseStatusCode(o.status))
	}
	failed := o.errorType()
	labels = append(labels, text(string(semconv.ErrorTypeKey), failed)...)
	server := o.server()
	attributes := append(append(append([]attribute.KeyValue(nil), labels...), server...), o.detail...)
	if o.client {
		labels = append(labels, server...)
	}
	set := metric.WithAttributeSet(attribute.NewSet(labels...))
	t.events.Add(ctx, 1, set)
	if parent := trace.SpanFromContext(ctx); o.took == 0 && parent.IsRecording() {
		parent.AddEvent(o.name, trace.WithAttributes(attributes...))
		return
	}
	if o.took > 0 {
		t.duration.Record(ctx, o.took.Seconds(), set)
	}
	kind := trace.SpanKindInternal
	if o.client {
		kind = trace.SpanKindClient
	}
	end := time.Now()
	_, span := t.tracer.Start(ctx, o.name, trace.WithSpanKind(kind), trace.WithTimestamp(end.Add(-o.took)), trace.WithAttributes(attributes...))
	if failed != "" {
		span.SetStatus(codes.Error, failed)
	}
	span.End(trace.WithTimestamp(end))
}

// server is the host as the conventions have it.
func (o observation) server() []attribute.KeyValue {
	if o.host == "" {
		return nil
	}
	address, digits, err := net.SplitHostPort(o.host)
	if err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(o.host)}
	}
	server := []attribute.KeyValue{semconv.ServerAddress(address)}
	if port, err := strconv.Atoi(digits); err == nil {
		server = append(server, semconv.ServerPort(port))
	}
	return server
}

// errorType is the sentinel's own text, which is constant, a status that means
// failure to the side that we are on, or empty. The text of any other error is
// not for the telemetry.
func (o observation) errorType() string {
	for _, sentinel := range sentinels {
		if errors.Is(o.err, sentinel) {
			return sentinel.Error()
		}
	}
	switch {
	case o.err != nil:
		return semconv.ErrorTypeOther.Value.AsString()
	case o.status >= 500, o.client && o.status >= 400:
		return strconv.Itoa(o.status)
	}
	return ""
}

var sentinels = []error{
	context.Canceled, context.DeadlineExceeded,
	jwks.ErrNoToken, jwks.ErrMalformed, jwks.ErrSignature, jwks.ErrIssuer, jwks.ErrAudience, jwks.ErrExpired,
	jwks.ErrNotYet, jwks.ErrType, jwks.ErrScope, jwks.ErrBinding, jwks.ErrUnknownKey, jwks.ErrUnavailable,
	phantom.ErrNoToken, phantom.ErrMalformed, phantom.ErrInactive, phantom.ErrScope, phantom.ErrAudience,
	phantom.ErrUnavailable, phantom.ErrResponse,
	redact.ErrInvalid, redact.ErrTooLarge, redact.ErrUnreadable,
	relay.ErrDestination, relay.ErrAuthority, relay.ErrInsecure, relay.ErrPlace, relay.ErrTooLarge, relay.ErrResponse,
	tokenvault.ErrMalformed, tokenvault.ErrUnknownKey, tokenvault.ErrOpen, tokenvault.ErrExpired, tokenvault.ErrLabel,
	vault.ErrReauthorize, vault.ErrUnavailable, vault.ErrRevokePending,
}

// text is the attribute, or none when there is nothing to say.
func text(key, value string) []attribute.KeyValue {
	if value == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String(key, value)}
}
