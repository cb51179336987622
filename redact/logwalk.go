package redact

import (
	"fmt"
	"log/slog"
	"reflect"
	"sort"
	"strings"
)

// value walks a slog.Value that has been resolved.
func (w *walker) value(v slog.Value, depth int) any {
	switch v.Kind() {
	case slog.KindString:
		return w.text(v.String())
	case slog.KindGroup:
		o := object{}
		for _, a := range v.Group() {
			o = append(o, w.attr(a, depth+1))
		}
		return o
	case slog.KindAny:
		return w.walk(reflect.ValueOf(v.Any()), depth+1)
	case slog.KindLogValuer:
		return w.hide()
	}
	return v.Any()
}

func (w *walker) attr(a slog.Attr, depth int) member {
	v := a.Value.Resolve()
	if w.r.attrs.has(a.Key) {
		return member{a.Key, w.named(reflect.ValueOf(v.Any()), depth)}
	}
	return member{w.text(a.Key), w.value(v, depth+1)}
}

// named masks a value under a configured name; nil and "" stay, and so does a
// sealed string.
func (w *walker) named(v reflect.Value, depth int) any {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && depth < maxDepth {
		v, depth = v.Elem(), depth+1
	}
	switch {
	case !v.IsValid(), (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.IsNil():
		return nil
	case v.Kind() == reflect.String:
		s := w.r.hide(v.String())
		w.changed = w.changed || s != v.String()
		return s
	}
	return w.hide()
}

func (w *walker) elements(v reflect.Value, depth int) any {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
		return w.bytes(v.Bytes())
	}
	out := make([]any, 0, min(v.Len(), maxNodes))
	for i := range v.Len() {
		if w.nodes > maxNodes {
			return w.hide()
		}
		out = append(out, w.walk(v.Index(i), depth+1))
	}
	return out
}

func (w *walker) entries(v reflect.Value, depth int) any {
	if v.IsNil() {
		return nil
	}
	out := make(object, 0, min(v.Len(), maxNodes))
	for it := v.MapRange(); it.Next(); {
		if w.nodes > maxNodes {
			return w.hide()
		}
		key := w.key(it.Key(), depth)
		m := member{key: w.text(key)}
		if w.r.attrs.has(key) {
			m.value = w.named(it.Value(), depth)
		} else {
			m.value = w.walk(it.Value(), depth+1)
		}
		out = append(out, m)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].key < out[j].key })
	return out
}

func (w *walker) key(k reflect.Value, depth int) string {
	if k.Kind() == reflect.String && !k.CanInterface() {
		return k.String()
	}
	return fmt.Sprint(w.walk(k, depth+1))
}

func (w *walker) fields(v reflect.Value, depth int) any {
	out := object{}
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inlined := f.Anonymous && key == ""
		var x any
		if !inlined && w.r.attrs.has(f.Name) || w.r.attrs.has(key) {
			x = w.named(v.Field(i), depth)
		} else {
			x = w.walk(v.Field(i), depth+1)
		}
		inner, isObject := x.(object)
		switch {
		case inlined && isObject:
			out = append(out, inner...)
		case !f.IsExported(), key == "-" && options == "", strings.Contains(options, "omit") && v.Field(i).IsZero():
		case key == "":
			out = append(out, member{f.Name, x})
		default:
			out = append(out, member{key, x})
		}
	}
	return out
}
