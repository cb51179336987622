package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestStoryIsRecorded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	rec, err := run(t.Context(), &out)
	require.NoError(t, err, out.String())
	require.Contains(t, out.String(), `200 {"balance":42,"refresh_token":"REDACTED"}`)

	spans := map[string]tracetest.SpanStub{}
	for _, s := range rec.spans {
		if _, ok := spans[s.Name]; !ok {
			spans[s.Name] = s
		}
	}
	for name, kind := range map[string]trace.SpanKind{
		"GET /balance": trace.SpanKindServer, "phantom.introspect": trace.SpanKindClient, "jwks.verify": trace.SpanKindInternal,
		"jwks.fetch": trace.SpanKindClient, "vault.refresh": trace.SpanKindClient, "relay.send": trace.SpanKindClient,
		"redact.response": trace.SpanKindInternal,
	} {
		require.Contains(t, spans, name)
		require.Equal(t, kind, spans[name].SpanKind, name)
	}
	request := spans["GET /balance"]
	for _, name := range []string{"phantom.introspect", "vault.refresh", "relay.send"} {
		require.Equal(t, request.SpanContext.TraceID(), spans[name].SpanContext.TraceID(), "%s belongs to the request", name)
		require.NotEmpty(t, attributes(spans[name].Attributes)["server.address"], name)
		require.NotEmpty(t, attributes(spans[name].Attributes)["server.port"], name)
		require.True(t, spans[name].StartTime.Before(spans[name].EndTime), name)
	}
	require.Equal(t, "200", attributes(spans["relay.send"].Attributes)["http.response.status_code"])
	require.Equal(t, "bank", attributes(spans["vault.refresh"].Attributes)["tokenvault.grant.id"])
	require.Equal(t, "relay.open", request.Events[len(request.Events)-1].Name)

	counted, timed := points(rec.metrics)
	require.EqualValues(t, 1, counted["vault.refresh"], "two requests, one refresh")
	require.EqualValues(t, 1, counted["phantom.hit"])
	require.EqualValues(t, 2, counted["relay.open"])
	require.EqualValues(t, 2, counted["relay.send"])
	require.EqualValues(t, 2, counted["phantom.introspect"], "alice's token and the made-up one")
	require.EqualValues(t, 1, counted["phantom.negative "+phantom.ErrInactive.Error()]+counted["phantom.negative"], "which is remembered")
	require.EqualValues(t, 2, timed["relay.send"])
}

// The dump is what any exporter could have sent.
func TestNoTokenIsInTheTelemetry(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	rec, err := run(t.Context(), &out)
	require.NoError(t, err, out.String())
	require.Len(t, rec.secrets, 7, "client secret, opaque token, JWT, two access and two refresh tokens")
	spans, err := json.Marshal(rec.spans)
	require.NoError(t, err)
	metrics, err := json.Marshal(rec.metrics)
	require.NoError(t, err)
	require.Contains(t, string(spans), "tokenvault.grant.id")
	require.Contains(t, string(metrics), "tokenvault.duration")
	leaktest.None(t, bytes.Join([][]byte{spans, metrics, out.Bytes()}, nil), rec.secrets...)
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		before func(*service, *fakes)
		status int
	}{
		{"the issuer's keys are at hand", func(*service, *fakes) {}, http.StatusOK},
		{"the issuer fails", func(_ *service, f *fakes) { f.issuer.Fail(http.StatusInternalServerError) }, http.StatusServiceUnavailable},
		{"shutdown has begun", func(s *service, _ *fakes) { s.draining.Store(true) }, http.StatusServiceUnavailable},
	} {
		f := startFakes()
		observe(t, func(o *telemetry) {
			s, err := newService(o, f)
			require.NoError(t, err)
			c.before(s, f)
			w := httptest.NewRecorder()
			s.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ready", nil))
			require.Equal(t, c.status, w.Code, c.rule)
			require.NoError(t, s.close(t.Context(), new(http.Server)), c.rule)
		})
		f.close()
	}
}

// Every package's events, one row each, with what becomes of them.
func TestEveryPackage(t *testing.T) {
	t.Parallel()
	const took = 20 * time.Millisecond
	ctx := context.Background()
	for _, c := range []struct {
		rule    string
		observe func(*telemetry)
		name    string
		failed  string // error.type
		want    map[string]string
		metric  map[string]string
	}{
		{
			"relay: a call of the bank",
			func(o *telemetry) {
				o.Relay(ctx, relay.Event{Kind: "send", Host: "bank:8443", Status: 200, Duration: took})
			},
			"relay.send", "", map[string]string{"server.port": "8443"}, map[string]string{"server.address": "bank", "http.response.status_code": "200"},
		},
		{
			"relay: an answer that means failure to a client",
			func(o *telemetry) { o.Relay(ctx, relay.Event{Kind: "send", Host: "bank", Status: 404, Duration: took}) },
			"relay.send", "404", nil, map[string]string{"error.type": "404"},
		},
		{
			"relay: who was refused may choose the host, the place is one of many",
			func(o *telemetry) {
				o.Relay(ctx, relay.Event{Kind: "refuse", Host: "evil.test", Place: "header:X", KeyID: "k1", Subject: "alice", Err: relay.ErrPlace})
			},
			"relay.refuse", relay.ErrPlace.Error(), map[string]string{"server.address": "evil.test", "tokenvault.place": "header:X", "tokenvault.key.id": "k1"},
			map[string]string{"server.address": "", "tokenvault.place": ""},
		},
		{
			"relay: a client's mistake is no failure of the sidecar",
			func(o *telemetry) {
				o.Relay(ctx, relay.Event{Kind: "call", Caller: "app", Status: 403, Duration: took})
			},
			"relay.call", "", nil, map[string]string{"tokenvault.caller": "app", "http.response.status_code": "403"},
		},
		{
			"vault: a refresh, whose grant is one of many",
			func(o *telemetry) {
				o.Vault(ctx, vault.Event{Kind: "refresh", ID: "g1", Provider: "bank", Host: "as.test", Generation: 3, Duration: took, Err: vault.ErrUnavailable})
			},
			"vault.refresh", vault.ErrUnavailable.Error(), map[string]string{"tokenvault.grant.id": "g1", "tokenvault.grant.generation": "3"},
			map[string]string{"server.address": "as.test", "tokenvault.provider": "bank", "tokenvault.grant.id": ""},
		},
		{
			"jwks: a verdict",
			func(o *telemetry) {
				o.JWKS(ctx, jwks.Event{Kind: jwks.EventVerify, Issuer: "https://as.test", Duration: took, Cached: true, Err: jwks.ErrExpired})
			},
			"jwks.verify", jwks.ErrExpired.Error(), nil, map[string]string{"tokenvault.issuer": "https://as.test", "tokenvault.cached": "true"},
		},
		{
			"jwks: a fetch",
			func(o *telemetry) {
				o.JWKS(ctx, jwks.Event{Kind: jwks.EventFetch, Host: "as.test", Duration: took, Keys: 2, Skipped: 1})
			},
			"jwks.fetch", "", map[string]string{"tokenvault.keys": "2", "tokenvault.keys.skipped": "1"}, map[string]string{"server.address": "as.test"},
		},
		{
			"phantom: an introspection that took too long",
			func(o *telemetry) {
				o.Phantom(ctx, phantom.Event{Kind: "introspect", Host: "as.test", Duration: took, Err: context.DeadlineExceeded})
			},
			"phantom.introspect", context.DeadlineExceeded.Error(), nil, map[string]string{"server.address": "as.test"},
		},
		{
			"redact: the host is what the client wrote",
			func(o *telemetry) { o.Redact(ctx, redact.Event{Kind: "response", Host: "x.test", Duration: took}) },
			"redact.response", "", map[string]string{"server.address": "x.test"}, map[string]string{"server.address": ""},
		},
		{
			"spa: why it was refused",
			func(o *telemetry) {
				o.SPA(ctx, spa.Event{Kind: "refused", Status: 403, Duration: took, Reason: "other origin"})
			},
			"spa.refused", "", nil, map[string]string{"tokenvault.reason": "other origin", "http.response.status_code": "403"},
		},
		{
			"an error that is no sentinel is not quoted",
			func(o *telemetry) {
				o.Phantom(ctx, phantom.Event{Kind: "introspect", Host: "as.test", Duration: took, Err: errors.New("token opaque-secret refused")})
			},
			"phantom.introspect", "_OTHER", nil, map[string]string{"error.type": "_OTHER"},
		},
	} {
		spans, metrics := observe(t, c.observe)
		require.Len(t, spans, 1, c.rule)
		require.Equal(t, c.name, spans[0].Name, c.rule)
		got := attributes(spans[0].Attributes)
		require.Equal(t, c.failed, got["error.type"], c.rule)
		require.Equal(t, c.failed != "", spans[0].Status.Code == codes.Error, c.rule)
		for k, v := range c.want {
			require.Equal(t, v, got[k], "%s: %s", c.rule, k)
		}
		counted, timed := points(metrics)
		require.Len(t, counted, 1, c.rule)
		require.Equal(t, spans[0].EndTime.Sub(spans[0].StartTime) == took, len(timed) == 1, c.rule)
		labels := attributes(metrics.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0].Attributes.ToSlice())
		for k, v := range c.metric {
			require.Equal(t, v, labels[k], "%s: metric %s", c.rule, k)
		}
		require.NotContains(t, fmt.Sprint(spans[0].Attributes, spans[0].Status, labels), "alice", c.rule)
		require.NotContains(t, fmt.Sprint(spans[0].Attributes, spans[0].Status, labels), "opaque-secret", c.rule)
	}
}

// A moment within a request is an event of its span and no span.
func TestMomentsBelongToTheSpan(t *testing.T) {
	t.Parallel()
	spans, metrics := observe(t, func(o *telemetry) {
		ctx, span := o.tracer.Start(t.Context(), "request")
		o.Phantom(ctx, phantom.Event{Kind: "hit", Host: "as.test"})
		span.End()
	})
	require.Len(t, spans, 1)
	require.Len(t, spans[0].Events, 1)
	require.Equal(t, "phantom.hit", spans[0].Events[0].Name)
	counted, timed := points(metrics)
	require.EqualValues(t, map[string]int64{"phantom.hit": 1}, counted)
	require.Empty(t, timed)
}

func observe(t *testing.T, do func(*telemetry)) (tracetest.SpanStubs, metricdata.ResourceMetrics) {
	t.Helper()
	exporter, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	o, err := newTelemetry(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)), metric.NewMeterProvider(metric.WithReader(reader)))
	require.NoError(t, err)
	do(o)
	var metrics metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &metrics))
	return exporter.GetSpans(), metrics
}

func attributes(list []attribute.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}

// points sums the metrics by event and error.type.
func points(rm metricdata.ResourceMetrics) (counted map[string]int64, timed map[string]uint64) {
	counted, timed = map[string]int64{}, map[string]uint64{}
	name := func(s attribute.Set) string {
		m := attributes(s.ToSlice())
		if m["error.type"] != "" {
			return m["tokenvault.event"] + " " + m["error.type"]
		}
		return m["tokenvault.event"]
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					counted[name(p.Attributes)] += p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					timed[name(p.Attributes)] += p.Count
				}
			}
		}
	}
	return counted, timed
}
