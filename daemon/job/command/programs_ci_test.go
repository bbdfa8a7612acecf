//go:build unix && ci

package command_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/ipc/task"
)

// Real programs, which come from packages that `go test ./...` must not need: go build, tqdm, rsync, curl. Each
// runs as a command under the real holder, and its own output tells how far it is.

// progressOf runs a command to its success and returns what it reported on the way.
func progressOf(t *testing.T, params map[string]any) []task.Progress {
	t.Helper()
	return reportsOf(t, newReal(t, params))
}

// reportsOf is progressOf of a command that is prepared.
func reportsOf(t *testing.T, s *stage) []task.Progress {
	t.Helper()
	if _, err := s.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s%s", err, s.output("stdout"), s.output("stderr"))
	}
	reports := s.host.Reports()
	for i := 1; i < len(reports); i++ {
		if reports[i].Done < reports[i-1].Done {
			t.Errorf("from %+v back to %+v", reports[i-1], reports[i])
		}
	}
	t.Logf("%d reports", len(reports))
	return reports
}

// whole wants several reports, of which the last says that all of total is done.
func whole(t *testing.T, reports []task.Progress, total int64, unit string) {
	t.Helper()
	if len(reports) < 3 {
		t.Fatalf("%d reports: %v", len(reports), reports)
	}
	last := reports[len(reports)-1]
	if last.Done != total || last.Total == nil || *last.Total != total || last.Unit != unit {
		t.Errorf("the last report is %+v (total %v), want %d %s", last, last.Total, total, unit)
	}
}

func TestCITqdm(t *testing.T) {
	dir := t.TempDir()
	venv := filepath.Join(dir, "venv")
	for _, args := range [][]string{{"python3", "-m", "venv", venv}, {"../../../.ci/again", venv + "/bin/pip", "-q", "install", "tqdm"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	// It goes on past 100 and 300 when what is before has been reported.
	s := newReal(t, map[string]any{"cwd": dir, "command": []string{venv + "/bin/python", "-c", `
import os, time
from tqdm import tqdm
for i in tqdm(range(500)):
    time.sleep(0.003)
    while i in (100, 300) and not os.path.exists(str(i)): time.sleep(0.01)`}})
	s.host.Reported = func(p task.Progress) {
		if p.Done > 0 {
			touch(t, filepath.Join(dir, "100"))
		}
		if p.Done > 100 {
			touch(t, filepath.Join(dir, "300"))
		}
	}
	reports := reportsOf(t, s)
	whole(t, reports, 500, "")
	if !slices.ContainsFunc(reports, func(p task.Progress) bool { return p.Rate > 1 && p.ETA != nil }) {
		t.Errorf("neither rate nor time left in %v", reports)
	}
}

func TestCIRsync(t *testing.T) {
	dir := t.TempDir()
	for i := range 8 {
		path := filepath.Join(dir, "src", strconv.Itoa(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		flag  string
		total int64
		unit  string
	}{{"--info=progress2", 100, "%"}, {"--progress", 9, "files"}} {
		t.Run(c.flag, func(t *testing.T) {
			t.Parallel()
			// Five seconds: a test that does not come to run for one of them sees enough.
			command := []string{"rsync", "-a", "--bwlimit=1600", c.flag, "src/", c.unit + "/"}
			whole(t, progressOf(t, map[string]any{"command": command, "cwd": dir}), c.total, c.unit)
		})
	}
}

// TestCICurl: curl shows its meter once a second, and its --limit-rate is a rough one. So the server waits for the report of what it has
// sent before it sends more.
func TestCICurl(t *testing.T) {
	for _, meter := range []string{"--no-silent", "--progress-bar"} {
		t.Run(meter, func(t *testing.T) {
			const pieces, size = 4, 24 << 20
			reported := make(chan int64, 1000)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(size))
				for i := range int64(pieces) {
					_, _ = w.Write(make([]byte, size/pieces))
					_ = http.NewResponseController(w).Flush()
					for seen := int64(0); i < pieces-1 && seen < 100*(i+1)/pieces; {
						select {
						case seen = <-reported:
						case <-r.Context().Done():
							return
						}
					}
				}
			}))
			defer server.Close()
			s := newReal(t, map[string]any{"command": []string{"curl", meter, "--max-time", "120", "-o", "/dev/null", server.URL}})
			s.host.Reported = func(p task.Progress) { reported <- p.Done }
			whole(t, reportsOf(t, s), 100, "%")
		})
	}
}

// TestCIGoBuild: a real build. go build -v says which packages it has done, not of how many: no progress is made up.
func TestCIGoBuild(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "durable-shim")
	s := newReal(t, map[string]any{"command": []string{"go", "build", "-v", "-a", "-o", out, "durable/cmd/durable-shim"}, "cwd": dir})
	if _, err := s.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, s.output("stderr"))
	}
	if n := len(s.host.Reports()); n > 0 {
		t.Errorf("%d reports: %v", n, s.host.Reports())
	}
	if !strings.Contains(s.output("stderr"), "durable/daemon/shim/holder") {
		t.Errorf("its output is not there: %s", s.output("stderr"))
	}
	if _, err := os.Stat(out); err != nil {
		t.Error(err)
	}
}

// TestCIFlood: a program that writes as fast as it can does not make us read as fast.
func TestCIFlood(t *testing.T) {
	s := newReal(t, shell(`timeout 3 sh -c 'yes "12% of a line that is long enough to be one of a log"'; echo; echo done`))
	before := cpuTime(t)
	from := time.Now()
	if _, err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if used, took := cpuTime(t)-before, time.Since(from); used > took/4 {
		t.Errorf("%s of CPU in %s", used, took)
	} else {
		t.Logf("%s of CPU in %s", used, took)
	}
}

func touch(t *testing.T, path string) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Error(err)
	}
}
