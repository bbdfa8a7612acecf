//go:build ci

package migration

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestCIRoundTrips: 100,000 records with all that is easily lost, from each format through each and back.
func TestCIRoundTrips(t *testing.T) { roundTrips(t, 100_000) }

// TestCICompressed: the same number through compressed files.
func TestCICompressed(t *testing.T) {
	const times = 33_334
	csv := "id,zip,text,empty,big,real,yes,at\n" + strings.Repeat(
		"1,00420,\"a \"\"quoted\"\", cell\nof two lines\",,9223372036854775807,-0.5,true,2026-01-02T03:04:05.123456+02:00\n"+
			"-2,007,Søn 日本 🎉,,-9223372036854775808,1e+100,false,2026-07-01T00:00:00Z\n3,,\" \",,0,0.1,,\n", times)
	for _, tt := range []struct {
		name, text string
		through    []string
	}{
		{"a.jsonl", strings.Repeat(nasty, times), []string{"jsonl.gz", "jsonl.zst"}},
		{"a.csv", csv, []string{"csv.gz", "tsv.zst"}},
	} {
		for _, middle := range tt.through {
			t.Run(tt.name+" "+middle, func(t *testing.T) {
				dir := t.TempDir()
				there, back := filepath.Join(dir, "m."+middle), filepath.Join(dir, tt.name)
				migrate(t, paths(write(t, tt.name, tt.text), there))
				migrate(t, paths(there, back))
				if read(t, back) != tt.text {
					t.Errorf("through %s: not what it was", middle)
				}
			})
		}
	}
}
