package migration

import (
	"bytes"
	"math/big"
	"strings"
	"testing"
)

// FuzzPGName: what is read as a name is written back as that name, and any name can be written so that it is read.
func FuzzPGName(f *testing.F) {
	for _, s := range []string{"orders", "public.orders", `"a.b"`, `s."x""y"`, `"`, `""`, "a.", ".a", "a.b.c", `"a"b`, "ä.ö", "a\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parsePGName(s); err == nil {
			again := dotless(n.table)
			if n.schema != "" {
				again = dotless(n.schema) + "." + again
			}
			if got, err := parsePGName(again); err != nil || got != n {
				t.Errorf("%q is %+v, which is written %q and read %+v, %v", s, n, again, got, err)
			}
		}
		if s == "" || len(s) > maxIdentifier || strings.ContainsRune(s, 0) {
			return
		}
		if got, err := parsePGName(dotless(s)); err != nil || got != (pgName{table: s}) {
			t.Errorf("%q is written %q and read %+v, %v", s, dotless(s), got, err)
		}
	})
}

// FuzzPlainNumber: a number without its exponent is the same number, and one that numeric gives back as it is.
func FuzzPlainNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.50", "1e5", "-1.25E-3", "+7", ".5", "5.", "007", "1e1000", "1e-1001", "", ".", "e5", "--1", "1_0", "0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		plain, ok := plainNumber(s)
		if !ok {
			if textDecimal(s) {
				t.Errorf("%q is a decimal and no number", s)
			}
			return
		}
		want, ok1 := new(big.Rat).SetString(s)
		got, ok2 := new(big.Rat).SetString(plain)
		trimmed, ok3 := new(big.Rat).SetString(trimNumber(plain))
		if !ok1 || !ok2 || !ok3 || want.Cmp(got) != 0 || want.Cmp(trimmed) != 0 || strings.ContainsAny(plain, "eE+") {
			t.Fatalf("%q became %q, and without zeros %q", s, plain, trimNumber(plain))
		}
		if len(plain) <= maxDigits && !textDecimal(plain) {
			t.Errorf("%q became %q, which is not written so", s, plain)
		}
	})
}

// copied is what COPY reads of a row in its text format: cells, nil for NULL. It is the rule of PostgreSQL's manual.
func copied(line []byte) (cells [][]byte) {
	for _, raw := range bytes.Split(line, []byte("\t")) {
		if string(raw) == `\N` {
			cells = append(cells, nil)
			continue
		}
		cell := []byte{}
		for i := 0; i < len(raw); i++ {
			if raw[i] == '\\' && i+1 < len(raw) {
				i++
				if at := strings.IndexByte("btnvfr", raw[i]); at >= 0 {
					cell = append(cell, "\b\t\n\v\f\r"[at])
					continue
				}
			}
			cell = append(cell, raw[i])
		}
		cells = append(cells, cell)
	}
	return cells
}

// FuzzCopyText: whatever a text holds, COPY reads one line with the same cells.
func FuzzCopyText(f *testing.F) {
	for _, s := range []string{"", `\N`, `\.`, "a\tb", "two\nlines", `back\slash`, "\r\n", "\b\v\f", `\\N`, "\xff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		line := appendCopyRow(nil, []value{a, nil, b, document(b)})
		if bytes.Count(line, []byte("\n")) != 1 || bytes.ContainsRune(line, '\r') || string(line) == "\\.\n" {
			t.Fatalf("%q, %q: %q", a, b, line)
		}
		got := copied(bytes.TrimSuffix(line, []byte("\n")))
		if len(got) != 4 || string(got[0]) != a || got[1] != nil || string(got[2]) != b || string(got[3]) != b || got[0] == nil {
			t.Errorf("%q, %q: %q is read as %q", a, b, line, got)
		}
	})
}

// FuzzPGValue: no text of a server, of whatever type, makes reading it fail badly; what is read is written again.
func FuzzPGValue(f *testing.F) {
	for i, s := range []string{"t", "-7", "2147483647", "9223372036854775807", "NaN", "1.50", "-Infinity", `\x00ff`, `{"a":1}`,
		"2026-01-02 03:04:05.678901+02", "infinity", "0044-03-15 BC", "x"} {
		f.Add(byte(i), []byte(s))
	}
	f.Fuzz(func(t *testing.T, class byte, b []byte) {
		c := &pgColumn{class: pgClass(class % byte(pgDate+1))}
		for _, v := range []value{c.decode(b), c.export(b)} {
			if w, err := c.encode(v, column{}); err == nil && w != nil {
				appendCopy(nil, w)
			}
		}
	})
}
