package redact

import (
	"context"
	"log/slog"
)

// Log returns a slog.Handler that masks what h gets to see: attributes and
// groups named in Config.Attrs; in the message and in all other values what Text
// finds, through groups, LogValuers, errors, structs, maps, slices, pointers,
// []byte, http.Header, *url.URL, *http.Request. LogValuers are resolved wherever
// they are nested, so that encoding/json does not walk around them.
//
// A value in which there is nothing to mask reaches h as it is.
func (r *Redactor) Log(h slog.Handler) slog.Handler {
	return &logHandler{r: r, next: h}
}

type logHandler struct {
	r    *Redactor
	next slog.Handler
	all  bool // inside a group that is named in Config.Attrs
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, rec slog.Record) error {
	clean := h.r.quiet(rec.Message)
	rec.Attrs(func(a slog.Attr) bool {
		clean = clean && h.harmless(a)
		return clean
	})
	if clean {
		return h.next.Handle(ctx, rec)
	}
	out := slog.NewRecord(rec.Time, rec.Level, h.r.Text(rec.Message), rec.PC)
	attrs := make([]slog.Attr, 0, rec.NumAttrs())
	rec.Attrs(func(a slog.Attr) bool {
		a, _ = h.attr(a)
		attrs = append(attrs, a)
		return true
	})
	out.AddAttrs(attrs...)
	return h.next.Handle(ctx, out)
}

// maxQuietKey is the length up to which a key cannot be a credential itself.
const maxQuietKey = 15

// harmless reports whether there is certainly nothing to mask in a: what most
// attributes are, told without a copy.
func (h *logHandler) harmless(a slog.Attr) bool {
	if h.all || h.r.attrs.has(a.Key) || len(a.Key) > maxQuietKey && !h.r.quiet(a.Key) {
		return false
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return h.r.quiet(a.Value.String())
	case slog.KindAny, slog.KindLogValuer, slog.KindGroup:
		return false
	}
	return true
}

// quiet reports whether Text would return s, if that can be told in a glance.
func (r *Redactor) quiet(s string) bool {
	return next(r.gate, s, 0) == len(s) && !(r.paths && looksJSON(s))
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i], _ = h.attr(a)
	}
	c := *h
	c.next = h.next.WithAttrs(out)
	return &c
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.all = h.all || h.r.attrs.has(name)
	c.next = h.next.WithGroup(h.r.Text(name))
	return &c
}

// attr masks one attribute.
func (h *logHandler) attr(a slog.Attr) (slog.Attr, bool) {
	if h.all || h.r.attrs.has(a.Key) {
		return h.r.hideAttr(a)
	}
	changed := false
	if key := h.r.Text(a.Key); key != a.Key {
		a.Key, changed = key, true
	}
	switch a.Value.Kind() {
	case slog.KindString:
		s := a.Value.String()
		clean := h.r.Text(s)
		if clean == s {
			return a, changed
		}
		return slog.String(a.Key, clean), true
	case slog.KindGroup:
		group, touched := h.group(a.Value.Group())
		if !touched {
			return a, changed
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(group...)}, true
	case slog.KindLogValuer:
		a.Value = a.Value.Resolve()
		clean, _ := h.attr(a)
		return clean, true
	case slog.KindAny:
		v, touched := h.r.logAny(a.Value.Any())
		if !touched {
			return a, changed
		}
		return slog.Any(a.Key, v), true
	}
	return a, changed
}

func (h *logHandler) group(attrs []slog.Attr) ([]slog.Attr, bool) {
	var out []slog.Attr
	for i, a := range attrs {
		clean, changed := h.attr(a)
		if changed && out == nil {
			out = append(make([]slog.Attr, 0, len(attrs)), attrs[:i]...)
		}
		if out != nil {
			out = append(out, clean)
		}
	}
	return out, out != nil
}

// hideAttr masks an attribute as a whole. nil, "" and empty groups stay.
func (r *Redactor) hideAttr(a slog.Attr) (slog.Attr, bool) {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		s := v.String()
		hidden := r.hide(s)
		return slog.String(a.Key, hidden), hidden != s || a.Value.Kind() == slog.KindLogValuer
	case slog.KindGroup:
		if len(v.Group()) == 0 {
			return a, false
		}
	case slog.KindAny:
		if v.Any() == nil {
			return a, false
		}
	}
	return slog.String(a.Key, r.mask), true
}
