package job_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

type shared struct {
	Cwd string `json:"cwd"`
}

type parameters struct {
	Count *int              `json:"count"`
	Rate  float64           `json:"rate"`
	Quick bool              `json:"quick"`
	Names []string          `json:"names"`
	Sizes []int             `json:"sizes"`
	Env   map[string]string `json:"env"`
	shared
}

func TestDecode(t *testing.T) {
	for raw, want := range map[string]string{
		``:               "",
		`null`:           "",
		`{"count":3}`:    "",
		`{"count":"3"}`:  "count: a JSON string, want a whole number",
		`{"rate":true}`:  "rate: a JSON bool, want a number",
		`{"quick":1}`:    "quick: a JSON number, want true or false",
		`{"names":"a"}`:  "names: a JSON string, want an array of strings",
		`{"sizes":"1"}`:  "sizes: a JSON string, want an array",
		`{"env":[]}`:     "env: a JSON array, want an object of strings",
		`{"cwd":1}`:      "cwd: a JSON number, want a string", // of an embedded struct, whose name is nobody's concern
		`{"colour":1}`:   `unknown parameter "colour"`,
		`{"count":1} {}`: `parameters: more follows the JSON value: " {}"`,
		`{"count":`:      "parameters: unexpected EOF",
		`[]`:             "parameters: cannot unmarshal array into Go value of type job_test.parameters",
	} {
		var p parameters
		err := job.Decode([]byte(raw), &p, "it takes count")
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", raw, err)
			}
			continue
		}
		e := task.AsError(err)
		if e == nil || e.Code != task.InvalidArgument || e.Message != want {
			t.Errorf("%s: got %v, want %s", raw, err, want)
		}
		if strings.HasPrefix(want, "unknown") != (e != nil && e.Hint == "it takes count") {
			t.Errorf("%s: hint %q", raw, e.Hint)
		}
	}
}

// TestFingerprint: what it tells apart, and the JSON that checkpoints of earlier versions hold.
func TestFingerprint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	at := time.Unix(1700000000, 5000)
	write := func(text string, at time.Time) job.Fingerprint {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		print, err := job.FingerprintOf(path)
		if err != nil {
			t.Fatal(err)
		}
		return print
	}
	first := write("abc", at)
	if b, err := json.Marshal(first); err != nil || string(b) != `{"size":3,"mod_time":1700000000000005000,"ends":"3018127080117191142"}` {
		t.Errorf("got %s, %v", b, err)
	}
	if again := write("abc", at); again != first {
		t.Errorf("the same file: %v, %v", first, again)
	}
	for name, other := range map[string]job.Fingerprint{
		"longer": write("abcd", at), "other bytes": write("abd", at), "later": write("abc", at.Add(time.Second)),
	} {
		if other == first {
			t.Errorf("%s: not told apart", name)
		}
	}
	if _, err := job.FingerprintOf(path + ".none"); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}
