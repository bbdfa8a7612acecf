package render

import "testing"

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"make": "make", "-j8": "-j8", "A=b": "A=b", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a\nb": "'a\nb'", "~/x": "'~/x'",
	} {
		if got := quote(word); got != want {
			t.Errorf("quote(%q) = %s, want %s", word, got, want)
		}
	}
}
