package training

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"durable/daemon/job/command"
	"durable/ipc/task"
)

// TestRefused: what is wrong is said at the call, with what to do.
func TestRefused(t *testing.T) {
	t.Parallel()
	csv := write(t, "d.csv", "a,b,label\n1,2,x\n3,4,y\n")
	tests := []struct {
		name   string
		params []any
		want   string
	}{
		{"no name", []any{"model_name", " "}, "model_name: missing"},
		{"unknown", []any{"epoch", 3}, `unknown parameter "epoch"`},
		{"type", []any{"epochs", "many"}, "epochs: a JSON string, want a whole number"},
		{"epochs", []any{"epochs", -1}, "epochs: -1"},
		{"size", []any{"dataset_size", 0}, "dataset_size: 0"},
		{"batch", []any{"batch_size", 5000}, "batch_size: 5000"},
		{"rate", []any{"learning_rate", -1}, "learning_rate: -1"},
		{"splits", []any{"validation_split", 0.5, "test_split", 0.6}, "validation_split 0.5 and test_split 0.6"},
		{"patience", []any{"early_stopping", 2, "validation_split", 0}, "early_stopping: needs samples"},
		{"hidden", []any{"hidden", []int{0}}, "hidden: a layer of 0"},
		{"column of nothing", []any{"label_column", "a"}, "only with dataset"},
		{"cwd of nothing", []any{"cwd", "/"}, "only with command"},
		{"relative", []any{"dataset", "d.csv"}, "is a relative path"},
		{"missing", []any{"dataset", filepath.Join(t.TempDir(), "no.csv")}, "no such file"},
		{"folder", []any{"dataset", t.TempDir()}, "not a file"},
		{"empty", []any{"dataset", write(t, "e.csv", "")}, "it has no records"},
		{"header only", []any{"dataset", write(t, "h.csv", "a,label\n")}, "it has no records"},
		{"no such label", []any{"dataset", csv, "label_column", "z"}, `has no column "z"`},
		{"no such text", []any{"dataset", csv, "text_column", "z"}, `has no column "z"`},
		{"both the same", []any{"dataset", csv, "text_column", "label"}, "both are"},
		{"label alone", []any{"dataset", write(t, "l.csv", "label\nx\n")}, "nothing beside the label"},
		{"ragged", []any{"dataset", write(t, "r.csv", "a,label\n1,x\n1,2,3\n")}, "line 3: wrong number of fields"},
		{"no object", []any{"dataset", write(t, "o.jsonl", "{\"a\":1,\"label\":2}\n[1]\n")}, "line 2: not a JSON object"},
		{"twice", []any{"dataset", write(t, "t.csv", "a,a\n1,2\n")}, `two columns are called "a"`},
		{"command with data", []any{"command", []string{"true"}, "cwd", "/", "dataset", csv}, "dataset and command"},
	}
	for _, tt := range tests {
		_, err := New(command.Options{}).Prepare(t.Context(), task.Spec{Params: jsonOf(t, tt.params...)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestRefusedLater: what only a whole pass can see.
func TestRefusedLater(t *testing.T) {
	t.Parallel()
	many := "text,label\n" + strings.Repeat("some words that are a text,x\n", 200)
	for _, tt := range []struct{ name, text, want string }{
		{"one class", many, `every record has the label "x"`},
		{"a line far on", many + "and,then,this\n", "line 202: wrong number of fields"},
		{"no label far on", many + "some words more,\n", `line 202: no value in the label column "label"`},
	} {
		_, err := prepare(t, "dataset", write(t, "d.csv", tt.text)).attempt(t.Context())
		if e := task.AsError(err); e == nil || !strings.Contains(e.Message, tt.want) || e.Hint == "" {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestFound: which columns are which, where nobody says.
func TestFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, label, column string }{
		{"text,label\nfree money for all of you,spam\n", "label", "text"},
		{"kind,what\nspam,free money for all of you\n", "what", ""},
		{"class,mail\nspam,free money for all of you\n", "class", "mail"},
		{"a\tb\tc\n1\t2\tx\n", "c", ""},
		{`{"Target":1,"message":"see you there","long":"some words more than in the other"}` + "\n", "Target", "message"},
	} {
		p := params{Dataset: write(t, "d", tt.text)}
		if err := p.peek(); err != nil || p.Label != tt.label || p.Text != tt.column {
			t.Errorf("%q: label %q, text %q, %v; want %q, %q", tt.text, p.Label, p.Text, err, tt.label, tt.column)
		}
	}
}

// TestChosen: dataset_size takes that many of a data set.
func TestChosen(t *testing.T) {
	t.Parallel()
	l := prepare(t, "dataset", write(t, "mails.csv", mails(90)), "dataset_size", 50, "epochs", 1)
	if res := l.finish(); res.Size != 50 || res.TrainSize+res.ValidateSize+res.TestSize != 50 {
		t.Errorf("%+v", res)
	}
}

// TestWords: how a text becomes places.
func TestWords(t *testing.T) {
	t.Parallel()
	f := newFeatures("text", nil)
	for text, want := range map[string]int{
		"": 0, "a": 0, "Free money": 3, "free MONEY, free": 4, "a bc d": 1, "日本": 3, "I am-free": 3,
	} {
		clear(f.counts)
		f.count(text)
		if len(f.counts) != want {
			t.Errorf("%q: %d places, want %d", text, len(f.counts), want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add("d.csv", "a,label\n1,x\n\"2\n\",y\n")
	f.Add("d.tsv", "a\tb\n1\t\n")
	f.Add("d.jsonl", "{\"a\":1,\"b\":null}\n\n{\"b\":[1,{}],\"c\":\"x\"}\n")
	f.Add("d", "\xef\xbb\xbf{\"a\":\"\\ud800\"}")
	f.Fuzz(func(t *testing.T, name, text string) {
		r, err := newReader(name, strings.NewReader(text))
		if err != nil {
			return
		}
		for range len(text) + 1 {
			cells, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && task.AsError(err).Message == "" {
					t.Fatalf("%#v", err)
				}
				return
			}
			for _, c := range cells {
				if c.text == "" || c.column >= len(r.names) || r.columns[r.names[c.column]] != c.column {
					t.Fatalf("%+v of %q", c, r.names)
				}
			}
		}
		t.Fatal("more records than bytes")
	})
}

func FuzzTensors(f *testing.F) {
	path := filepath.Join(f.TempDir(), "t")
	if err := writeTensors(path, notes{Epoch: 1}, []tensor{{"/a", []int{2}, []float32{1, 2}, nil}, {"/b", nil, nil, []int64{3}}}); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(read(f, path)))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var n notes
		found, err := readTensors(strings.NewReader(string(data)), int64(len(data)), &n)
		if err != nil {
			return
		}
		for name, v := range found {
			count := 1
			for _, d := range v.shape {
				count *= d
			}
			if v.name != name || len(v.floats)+len(v.ints) != count {
				t.Fatalf("%+v", v)
			}
		}
	})
}
