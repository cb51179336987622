// Command otel shows every package's events as OpenTelemetry spans and metrics.
//
// A service is called with opaque tokens (phantom), verifies the JWTs behind them
// (jwks), calls a bank with its user's grant there (vault, relay) and masks what
// the bank should not have answered (redact). The program calls it well and badly,
// shuts it down, and prints what was recorded. The part to copy is observe.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func main() {
	if _, err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "otel:", err)
		os.Exit(1)
	}
}

// recording is what reached the exporters, and what must not be in it.
type recording struct {
	spans   tracetest.SpanStubs
	metrics metricdata.ResourceMetrics
	secrets []string
}

func run(ctx context.Context, out io.Writer) (rec recording, err error) {
	exporter, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	spans := trace.NewTracerProvider(trace.WithSyncer(exporter))
	metrics := metric.NewMeterProvider(metric.WithReader(reader))
	t, err := newTelemetry(spans, metrics)
	if err != nil {
		return rec, err
	}
	f := startFakes()
	defer f.close()
	s, err := newService(t, f)
	if err != nil {
		return rec, err
	}
	if err := s.vault.Put(ctx, grantID, "alice", "bank", f.expired()); err != nil {
		return rec, err
	}
	if err := serve(ctx, out, s, f); err != nil {
		return rec, err
	}
	// The service has ended, so all there is to tell has been told.
	rec.spans, rec.secrets = exporter.GetSpans(), f.secrets
	if err := reader.Collect(ctx, &rec.metrics); err != nil {
		return rec, err
	}
	rec.print(out)
	return rec, errors.Join(spans.Shutdown(ctx), metrics.Shutdown(ctx))
}

// serve starts the service, calls it and shuts it down.
func serve(ctx context.Context, out io.Writer, s *service, f *fakes) (err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, s.close(stop, server))
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	for _, c := range []struct {
		what, path, token string
		status            int
	}{
		{"readiness", "/ready", "", http.StatusOK},
		{"alice, her grant expired", "/balance", f.opaque, http.StatusOK},
		{"alice again", "/balance", f.opaque, http.StatusOK},
		{"a made-up token", "/balance", "made-up", http.StatusUnauthorized},
		{"the same again", "/balance", "made-up", http.StatusUnauthorized},
	} {
		status, body, err := call(ctx, "http://"+listener.Addr().String()+c.path, c.token)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-25s %d %s\n", c.what, status, strings.TrimSpace(body))
		if status != c.status {
			return fmt.Errorf("%s: answered %d, not %d", c.what, status, c.status)
		}
	}
	return nil
}

func call(ctx context.Context, url, token string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	return res.StatusCode, string(text), err
}

// print shows spans in the order in which they ended, and every counted event.
func (rec recording) print(out io.Writer) {
	fmt.Fprintln(out, "\nspans")
	for _, s := range rec.spans {
		fmt.Fprintf(out, "  %-20s %s\n", s.Name, list(s.Attributes))
		for _, e := range s.Events {
			fmt.Fprintf(out, "    . %-16s %s\n", e.Name, list(e.Attributes))
		}
	}
	fmt.Fprintln(out, "\nmetrics")
	var lines []string
	for _, scope := range rec.metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("  %s %d %s", m.Name, p.Value, list(p.Attributes.ToSlice())))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("  %s %d times %s", m.Name, p.Count, list(p.Attributes.ToSlice())))
				}
			}
		}
	}
	slices.Sort(lines)
	fmt.Fprintln(out, strings.Join(lines, "\n"))
}

func list(attributes []attribute.KeyValue) string {
	var parts []string
	for _, a := range attributes {
		parts = append(parts, string(a.Key)+"="+a.Value.String())
	}
	return strings.Join(parts, " ")
}
