package phantom

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAge bounds every duration read from a header, long before an overflow.
const maxAge = 365 * 24 * time.Hour

// freshness is what an answer's headers say about keeping it.
type freshness struct {
	known bool          // there is a max-age, an Expires or a prohibition
	left  time.Duration // from now on, when known
	exact bool          // must not be used when stale, or not be stored at all
}

// freshnessOf reads RFC 9111 section 4.2 as a private cache, for which s-maxage
// and private mean nothing. What is there but cannot be read means stale.
func freshnessOf(h http.Header, now time.Time) freshness {
	cc := cacheControl(h)
	if cc.forbids {
		return freshness{known: true, exact: true}
	}
	f := freshness{exact: cc.exact}
	switch {
	case cc.hasMaxAge:
		f.known, f.left = true, cc.maxAge
	case len(h.Values("Expires")) > 0:
		f.known, f.left = true, untilExpires(h, now)
	default:
		return f
	}
	f.left = max(0, f.left-age(h))
	return f
}

type directives struct {
	forbids   bool // no-store, no-cache
	exact     bool // must-revalidate
	hasMaxAge bool
	maxAge    time.Duration
}

func cacheControl(h http.Header) directives {
	var d directives
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				d.forbids = true
			case "must-revalidate":
				d.exact = true
			case "max-age":
				age, _ := seconds(strings.Trim(value, `"`)) // what is no number is stale
				d.addMaxAge(age)
			}
		}
	}
	return d
}

// addMaxAge keeps the smallest of several (RFC 9111 section 4.2.1 leaves the
// choice).
func (d *directives) addMaxAge(age time.Duration) {
	if d.hasMaxAge {
		age = min(age, d.maxAge)
	}
	d.maxAge, d.hasMaxAge = age, true
}

// untilExpires is the time Expires leaves: from the server's Date, so that its
// clock need not be ours, but less the age that Date shows (RFC 9111 section
// 4.2.3), which comes to the earlier of both counts. A Date more than a day off
// says nothing.
func untilExpires(h http.Header, now time.Time) time.Duration {
	expires, _ := http.ParseTime(h.Get("Expires")) // "0" and the like: the zero time, long past
	left := expires.Sub(now)
	if date, _ := http.ParseTime(h.Get("Date")); date.Sub(now).Abs() <= 24*time.Hour {
		left = min(left, expires.Sub(date))
	}
	return min(max(0, left), maxAge)
}

func age(h http.Header) time.Duration {
	var oldest time.Duration
	for _, v := range h.Values("Age") {
		a, _ := seconds(strings.TrimSpace(v))
		oldest = max(oldest, a)
	}
	return oldest
}

// seconds reads delta-seconds (RFC 9111 section 1.2.2): digits only, as many as
// one likes. What is not that is 0.
func seconds(s string) (time.Duration, bool) {
	if strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, _ := strconv.ParseInt(s, 10, 64) // out of range: the largest
	return time.Duration(min(n, int64(maxAge/time.Second))) * time.Second, true
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3), at most an hour, so that
// a broken server does not send clients away for good.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const longest = time.Hour
	value := strings.TrimSpace(h.Get("Retry-After"))
	if d, ok := seconds(value); ok {
		return min(d, longest)
	}
	at, _ := http.ParseTime(value) // unreadable: the zero time, long past
	return min(max(0, at.Sub(now)), longest)
}
