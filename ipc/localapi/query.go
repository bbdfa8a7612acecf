package localapi

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"durable/ipc/task"
)

// query reads the parameters of a request. The first error sticks, so that a handler asks once, at the end.
type query struct {
	values url.Values
	err    error
}

// parseQuery refuses parameters that the route does not have: to ignore a filter would answer another
// question. Those in the list may come once, unless they end in "*".
func parseQuery(raw string, names ...string) *query {
	q := &query{}
	if raw == "" {
		return q
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		q.err = task.Errorf(task.InvalidArgument, "query: %w", err)
		return q
	}
	q.values = values
	for name, vs := range values {
		switch {
		case slices.Contains(names, name+"*"):
		case !slices.Contains(names, name):
			q.unknown(name, names)
		case len(vs) > 1:
			q.fail("%s: given %d times", name, len(vs))
		}
	}
	return q
}

func (q *query) unknown(name string, names []string) {
	if q.err == nil {
		q.err = task.Errorf(task.InvalidArgument, "query: unknown parameter %.40q", name).
			WithHint("this route takes %s", strings.ReplaceAll(strings.Join(names, ", "), "*", ""))
	}
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = task.Errorf(task.InvalidArgument, format, args...)
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

// flag: "?follow" alone means yes.
func (q *query) flag(name string) bool {
	if !q.values.Has(name) {
		return false
	}
	switch strings.ToLower(q.values.Get(name)) {
	case "", "1", "true", "yes":
		return true
	case "0", "false", "no":
		return false
	}
	q.fail("%s: %.40q, want true or false", name, q.values.Get(name))
	return false
}

// number reads an integer from 0 to limit; 0 where it is not given.
func (q *query) number(name string, limit int64) int64 {
	v := q.values.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > limit {
		q.fail("%s: %.40q, want 0 to %d", name, v, limit)
		return 0
	}
	return n
}

// duration reads "90s", "10m" or a number of seconds; otherwise is for where it is not given.
func (q *query) duration(name string, otherwise time.Duration) time.Duration {
	v := q.values.Get(name)
	if v == "" {
		return otherwise
	}
	if seconds, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(seconds) {
		const limit = float64(math.MaxInt64/int64(time.Second)) - 1 // beyond it the conversion is undefined
		return time.Duration(min(limit, max(-limit, seconds)) * float64(time.Second))
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		q.fail("%s: %.40q, want a number with a unit, such as \"90s\" or \"10m\"", name, v)
	}
	return d
}

// statuses reads status=a,b&status=c; "all" and nothing mean no filter.
func (q *query) statuses() []task.Status {
	var out []task.Status
	for _, v := range q.values["status"] {
		for word := range strings.SplitSeq(v, ",") {
			s := task.Status(strings.ToLower(strings.TrimSpace(word)))
			switch {
			case s == "" || slices.Contains(out, s):
			case s.Valid():
				out = append(out, s)
			default:
				q.fail("status: %.40q, want one of %s", word, words(task.Statuses))
			}
		}
	}
	return out
}

func (q *query) labels() map[string]string {
	var out map[string]string
	for _, v := range q.values["label"] {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			q.fail("label: %.40q, want NAME=VALUE", v)
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out
}

func (q *query) order() task.Order {
	switch o := task.Order(strings.ToLower(q.text("order"))); o {
	case "", task.OrderCreated, task.OrderEnded:
		return o
	}
	q.fail("order: %.40q, want %s or %s", q.text("order"), task.OrderCreated, task.OrderEnded)
	return ""
}

func words(statuses []task.Status) string {
	var out []string
	for _, s := range statuses {
		out = append(out, string(s))
	}
	return strings.Join(out, ", ")
}

// ref is the task in the path; the Service resolves it, its form is checked here.
func ref(r *http.Request) (task.Ref, error) {
	id := task.Ref(r.PathValue("id"))
	_, err := id.Parse()
	return id, err
}

// key is the request's idempotency key.
func key(r *http.Request) (task.Key, error) {
	v := r.Header[task.HeaderKey]
	if len(v) == 0 {
		return "", nil
	}
	k := task.Key(v[0])
	return k, k.Validate()
}
