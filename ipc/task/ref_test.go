package task_test

import (
	"errors"
	"strings"
	"testing"

	"durable/ipc/task"
)

const anID = "019a3c5e-7b1d-7c3a-9f00-0123456789ab"

func TestRefParse(t *testing.T) {
	tests := []struct {
		in   task.Ref
		want task.RefKind
	}{
		{"1", task.RefNumber},
		{"42", task.RefNumber},
		{"12345678901", task.RefNumber},
		{"123456789012", task.RefPart}, // the last group of an ID
		{"0", task.RefInvalid},
		{"0123", task.RefPart},
		{"@last", task.RefNewest},
		{"@LAST", task.RefNewest},
		{anID, task.RefID},
		{task.Ref(strings.ToUpper(anID)), task.RefID},
		{task.Ref(anID[:8]), task.RefPart},
		{"89ab", task.RefPart},
		{"9ab", task.RefInvalid},
		{"", task.RefInvalid},
		{"-1", task.RefInvalid},
		{"abcg", task.RefInvalid},
		{" 42", task.RefInvalid},
		{anID + "0", task.RefInvalid},
		{"../../etc", task.RefInvalid},
		{"４２", task.RefInvalid},
	}
	for _, tt := range tests {
		got, err := tt.in.Parse()
		if got != tt.want || (err != nil) != (tt.want == task.RefInvalid) {
			t.Errorf("%q: %d %v, want %d", tt.in, got, err, tt.want)
		}
		if err != nil && !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%q: %v, want invalid_argument", tt.in, err)
		}
	}
	if n := task.Ref("12345678901").Number(); n != 12345678901 {
		t.Errorf("Number = %d", n)
	}
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{"42", "@last", anID, "89ab", "", "00000", "99999999999", "----"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref := task.Ref(s)
		kind, err := ref.Parse()
		if (err == nil) == (kind == task.RefInvalid) {
			t.Errorf("%q: kind %d with error %v", s, kind, err)
		}
		if kind == task.RefNumber && ref.Number() == 0 {
			t.Errorf("%q is a number, and 0", s)
		}
		if kind != task.RefInvalid && strings.ContainsAny(s, "/?#%\\ \n\x00") {
			t.Errorf("%q could leave its path", s)
		}
	})
}
