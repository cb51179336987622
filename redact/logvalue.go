package redact

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"
)

// logAny returns what is logged instead of v, and whether that is not v itself.
// A value whose methods panic is masked as a whole.
func (r *Redactor) logAny(v any) (clean any, changed bool) {
	defer func() {
		if recover() != nil {
			clean, changed = r.mask, true
		}
	}()
	switch v := v.(type) {
	case nil, bool, int, int64, uint64, float64:
		return v, false
	case http.Header:
		h := r.Header(v)
		return h, !reflect.DeepEqual(h, v)
	case url.Values:
		q := r.Values(v)
		return q, !reflect.DeepEqual(q, v)
	case *url.URL:
		u := r.URL(v)
		return u, u != nil && u.String() != v.String()
	case []byte:
		s := r.Text(string(v))
		return []byte(s), s != string(v)
	case error:
		if s, changed := r.logError(v); changed || !plainError(v) {
			return safeError(s), true
		}
		return v, false
	}
	w := walker{r: r}
	tree := w.walk(reflect.ValueOf(v), 0)
	if !w.changed && w.opaque {
		s := fmt.Sprintf("%+v", v)
		w.changed = r.Text(s) != s
	}
	if w.changed {
		return tree, true
	}
	return v, false
}

// safeError is an error of which only the masked text is left: a handler that
// unwraps errors must not find the rest.
type safeError string

func (e safeError) Error() string { return string(e) }

// plainError reports whether handlers can print nothing but Error's text.
func plainError(err error) bool {
	switch err.(type) {
	case json.Marshaler, encoding.TextMarshaler, fmt.Formatter:
		return false
	}
	return true
}

// logError masks the text of err. Of the errors it wraps, those that are
// LogValuers say themselves what may be shown of them.
func (r *Redactor) logError(err error) (string, bool) {
	before := err.Error()
	s := before
	budget := 64
	var visit func(error)
	visit = func(e error) {
		if budget--; e == nil || budget < 0 {
			return
		}
		if v, ok := e.(slog.LogValuer); ok {
			s = replace(s, e.Error(), slog.AnyValue(v).Resolve().String())
		}
		if u, ok := e.(*url.Error); ok {
			clean := r.urlString(u.URL)
			s = replace(s, fmt.Sprintf("%q", u.URL), fmt.Sprintf("%q", clean))
			s = replace(s, u.URL, clean)
		}
		switch e := e.(type) {
		case interface{ Unwrap() error }:
			visit(e.Unwrap())
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				visit(inner)
			}
		}
	}
	visit(err)
	s = r.Text(s)
	return s, s != before
}

func replace(s, old, with string) string {
	if old == "" {
		return s
	}
	return strings.ReplaceAll(s, old, with)
}

const (
	maxDepth = 32
	maxNodes = 100_000
)

// walker builds a masked copy of a value, in the shape encoding/json would give
// it, and finds out whether one is needed.
type walker struct {
	r       *Redactor
	changed bool // the copy differs from the value
	opaque  bool // some of it prints by methods of its own
	nodes   int
}

func (w *walker) hide() string {
	w.changed = true
	return w.r.mask
}

func (w *walker) text(s string) string {
	clean := w.r.Text(s)
	w.changed = w.changed || clean != s
	return clean
}

func (w *walker) walk(v reflect.Value, depth int) any {
	if w.nodes++; depth > maxDepth || w.nodes > maxNodes {
		return w.hide()
	}
	if !v.IsValid() {
		return nil
	}
	if out, done := w.special(v, depth); done {
		return out
	}
	switch v.Kind() {
	case reflect.String:
		return w.text(v.String())
	case reflect.Interface:
		return w.walk(v.Elem(), depth+1)
	case reflect.Pointer:
		// Of an unexported pointer fmt prints the address, and json nothing.
		if v.IsNil() || !v.CanInterface() {
			return nil
		}
		return w.walk(v.Elem(), depth+1)
	case reflect.Struct:
		return w.fields(v, depth)
	case reflect.Map:
		return w.entries(v, depth)
	case reflect.Slice, reflect.Array:
		return w.elements(v, depth)
	}
	return scalar(v)
}

func scalar(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	case v.CanComplex():
		return fmt.Sprint(v.Complex())
	}
	return v.Type().String() // func, chan, unsafe pointer
}

var logValuer = reflect.TypeFor[slog.LogValuer]()

// special deals with what has methods that say how it is shown, and with the
// standard library's carriers of credentials.
func (w *walker) special(v reflect.Value, depth int) (out any, done bool) {
	if v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, false
	}
	if !v.CanInterface() {
		if t := v.Type(); t.Implements(logValuer) || reflect.PointerTo(t).Implements(logValuer) {
			return w.hide(), true
		}
		return nil, false
	}
	x := v.Interface()
	if _, ok := x.(slog.LogValuer); !ok && reflect.PointerTo(v.Type()).Implements(logValuer) {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		x = p.Interface()
	}
	switch x := x.(type) {
	case slog.LogValuer:
		w.changed = true
		return w.value(slog.AnyValue(x).Resolve(), depth), true
	case slog.Value:
		w.opaque = true
		return w.value(x.Resolve(), depth), true
	case slog.Attr:
		w.changed = true
		return object{w.attr(x, depth)}, true
	case http.Header:
		return w.cleaned(w.r.Header(x), x, depth), true
	case url.Values:
		return w.cleaned(w.r.Values(x), x, depth), true
	case *url.URL:
		return w.url(x), true
	case url.URL:
		return w.url(&x), true
	case *http.Request:
		w.changed = true
		return w.request(x), true
	case *http.Response:
		w.changed = true
		return object{{"status", x.Status}, {"header", w.plain(w.r.Header(x.Header), depth)}}, true
	case *http.Cookie:
		return object{{"name", w.text(x.Name)}, {"value", w.hide()}}, true
	case []byte:
		return w.bytes(x), true
	}
	return w.methods(v, x, depth)
}

// methods deals with types that print or marshal themselves. Their fields are
// looked at as well, because not every handler asks the same method.
func (w *walker) methods(v reflect.Value, x any, depth int) (out any, done bool) {
	switch x := x.(type) {
	case error:
		s, changed := w.r.logError(x)
		w.changed = w.changed || changed
		w.opaque, out, done = true, s, true
	case json.Marshaler:
		w.opaque, out, done = true, w.marshaled(x, depth), true
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return w.hide(), true
		}
		w.opaque, out, done = true, w.text(string(b)), true
	case fmt.Formatter, fmt.Stringer:
		w.opaque = true
	}
	if !done {
		return nil, false
	}
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		w.fields(v, depth+1)
	}
	return out, true
}

func (w *walker) marshaled(x json.Marshaler, depth int) any {
	b, err := x.MarshalJSON()
	if err != nil {
		return w.hide()
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var tree any
	if d.Decode(&tree) != nil {
		return w.hide()
	}
	return w.plain(tree, depth)
}

// plain walks what has no methods left.
func (w *walker) plain(x any, depth int) any {
	switch x := x.(type) {
	case http.Header:
		return w.entries(reflect.ValueOf(x), depth+1)
	case json.Number:
		return x
	}
	return w.walk(reflect.ValueOf(x), depth+1)
}

func (w *walker) cleaned(clean, dirty any, depth int) any {
	if !reflect.DeepEqual(clean, dirty) {
		w.changed = true
	}
	return w.entries(reflect.ValueOf(clean), depth+1)
}

func (w *walker) url(u *url.URL) any {
	s := w.r.URL(u).String()
	w.changed = w.changed || s != u.String()
	return s
}

func (w *walker) bytes(b []byte) any {
	if !utf8.Valid(b) {
		return base64.StdEncoding.EncodeToString(b)
	}
	return w.text(string(b))
}

func (w *walker) request(req *http.Request) any {
	o := object{{"method", w.text(req.Method)}}
	if req.URL != nil {
		o = append(o, member{"url", w.url(req.URL)})
	}
	return append(o, member{"proto", req.Proto}, member{"host", w.text(req.Host)},
		member{"header", w.plain(w.r.Header(req.Header), 0)})
}
