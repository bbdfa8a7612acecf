//go:build unix

package batch

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestRetries: a batch that fails is tried again, after pauses that grow.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		retries, attempts int
		ok                bool
		want              time.Duration
	}{{3, 3, true, 3 * time.Second}, {1, 2, false, time.Second}} {
		count := filepath.Join(t.TempDir(), "count")
		l := prepare(t, map[string]any{"total_items": 1, "retries": c.retries, "command": []string{"sh", "-c", `echo >> "$1"; [ $(wc -l < "$1") -ge 3 ]`, "sh", count}})
		synctest.Test(t, func(t *testing.T) {
			l.t = t
			began := time.Now()
			_, err := l.attempt(t.Context())
			if took := time.Since(began); took != c.want || (err == nil) != c.ok {
				t.Errorf("%d retries: took %s, want %s: %v", c.retries, took, c.want, err)
			}
			if rec := l.records()[0]; rec.OK != c.ok || rec.Attempts != c.attempts {
				t.Errorf("%s", encodeJSON(t, rec))
			}
		})
	}
}
