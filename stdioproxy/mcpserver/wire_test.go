package mcpserver_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"durable/stdioproxy/mcpserver"
)

var update = flag.Bool("update", false, "rewrite the transcripts with what the server says now")

// TestTranscripts plays every testdata/*.wire on a server over the fake: what both sides write, line by
// line. "> " is the client's line, "< " the server's, "* " moves the world, "# " is a comment. "< " lines
// are what the server has said when it is quiet again. Run with -update and read the diff.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.wire")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".wire"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(want)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// play returns the transcript with the server's lines as they are now.
func play(t *testing.T, script string) string {
	var out strings.Builder
	svc := newFake()
	opts := mcpserver.Options{Base: "/work", Home: "/home/ann"}
	if strings.Contains(script, "# legacy") {
		opts.Legacy = true
	}
	s := serve(t, svc, opts)
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "< ") {
			continue
		}
		fmt.Fprintln(&out, line)
		said := []string(nil)
		switch {
		case strings.HasPrefix(line, "> "):
			said = s.send(strings.TrimPrefix(line, "> "))
		case strings.HasPrefix(line, "* "):
			s.do(strings.Fields(line)[1:])
			said = s.said()
		}
		// Two notifications of one moment have no order; a transcript needs one.
		slices.SortStableFunc(said, func(a, b string) int { return cmp.Compare(isUpdate(b), isUpdate(a)) })
		for _, l := range said {
			fmt.Fprintln(&out, "< "+normalize(l))
		}
	}
	return out.String()
}

func isUpdate(line string) int { return strings.Count(line, `"notifications/resources/updated"`) }

// normalize orders an answer's keys, so that a transcript shows no accident, and leaves out what the
// golden test of tools/list holds.
func normalize(line string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "NOT JSON: " + line
	}
	if m, ok := v.(map[string]any); ok {
		if r, ok := m["result"].(map[string]any); ok {
			if tools, ok := r["tools"].([]any); ok {
				r["tools"] = fmt.Sprintf("(%d tools)", len(tools))
			}
			if _, ok := r["instructions"]; ok {
				r["instructions"] = "(instructions)"
			}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// do moves the world: see the transcripts.
func (s *session) do(cmd []string) {
	s.t.Helper()
	num := func(i int) int64 {
		n, err := strconv.ParseInt(cmd[i], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return n
	}
	switch cmd[0] {
	case "sleep":
		d, err := time.ParseDuration(cmd[1])
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(d)
	case "add":
		s.svc.add(int(num(1)))
	case "progress":
		s.svc.progress(uint64(num(1)), num(2), num(3))
	case "complete":
		s.svc.complete(uint64(num(1)), num(2))
	case "fail":
		s.svc.fail(uint64(num(1)), strings.Join(cmd[2:], " "), "mend it")
	case "down":
		s.svc.setDown(true)
	case "up":
		s.svc.setDown(false)
	case "toolong":
		s.bad <- &mcpserver.TooLongError{ID: json.RawMessage(cmd[1]), Limit: 4096}
	case "eof":
		close(s.in)
	default:
		s.t.Fatalf("unknown step %q", cmd)
	}
}
