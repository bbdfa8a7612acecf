package migration

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// recordStep is what one read of a record comes to.
type recordStep struct {
	Fields      []string
	Err         string
	Line        int
	Start, Next int64 // offsets
}

// theirSteps are those of encoding/csv.
func theirSteps(text string, comma rune) []recordStep {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord = comma, -1
	var steps []recordStep
	for {
		this := recordStep{Start: r.InputOffset()}
		fields, err := r.Read()
		this.Next = r.InputOffset()
		if err == nil {
			this.Fields = fields
			this.Line, _ = r.FieldPos(0)
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			this.Err, this.Line = parse.Err.Error(), parse.StartLine
		} else if err != nil {
			return append(steps, recordStep{Err: err.Error(), Start: this.Start, Next: this.Next})
		}
		steps = append(steps, this)
	}
}

func ourSteps(in io.Reader, comma rune) []recordStep {
	r := newRecordReader(bufio.NewReaderSize(in, 4096), comma)
	var steps []recordStep
	for {
		this := recordStep{Start: r.offset()}
		fields, err := r.read()
		this.Next = r.offset()
		for _, f := range fields {
			this.Fields = append(this.Fields, string(f))
		}
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse):
			this.Err = parse.Err.Error()
			r.first, r.lines = r.cutLines+int64(parse.StartLine), r.cutLines+int64(parse.Line)
		case err != nil:
			return append(steps, recordStep{Err: err.Error(), Start: this.Start, Next: this.Next})
		}
		this.Line = int(r.first)
		steps = append(steps, this)
	}
}

// FuzzRecords: records, offsets and lines are those of encoding/csv, however the text comes in.
func FuzzRecords(f *testing.F) {
	for _, text := range []string{"", "\n", "a", "a\n", "a,b\n1,2\n", "a,b\r\n\r\n\n1,\"x, \"\"y\"\"\"\r\n", "\"\"\n", "\"a\"\"\"\n\"\"\"\"\n", "a\n\"x\ny\",2\nz\n",
		"a\"b\nc\n", "\"a\"b,c\nd\n", "\"open\n", "\"a\r\nb\"\r\n3\n", "\"\r\"\n", "1\r2\n\r\r\n", "x,\"\",\n", "\"a\"\r", ",\n,,\n", "\"a,b\",c\n\"d\n", strings.Repeat("x,\"y\"\n", 2000),
		strings.Repeat("w", 5000) + ",1\n2,3\n"} {
		f.Add(text)
		f.Add(strings.ReplaceAll(text, ",", "\t"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, comma := range []rune{',', '\t'} {
			want := theirSteps(text, comma)
			for _, in := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
				if diff := cmp.Diff(want, ourSteps(in, comma)); diff != "" {
					t.Errorf("%q: (-encoding/csv +ours):\n%s", text, diff)
				}
			}
		}
	})
}

// FuzzShape: what a look at a cell tells is what reading it tells.
func FuzzShape(f *testing.F) {
	for _, s := range []string{"", "0", "-0", "-", "00", "7", "-7", "007", "1.5", "1.50", "0.0", "-0.00", "0.000001", "0.0000001", "0.0000010", "1.", ".5", "1e5", "1.5e3",
		"123456789012345678", "1234567890123456789", "12345678901234.5", "123456789012345.6", "9007199254740993", "0.1234567890123456", "1.2.3", "1-2", "100.000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, integer := textInt(s)
		_, real := textFloat(s)
		kind, number := shapeOf([]byte(s))
		switch kind {
		case shapeInteger:
			if !integer || n != number {
				t.Errorf("%q is no integer, or not %d", s, number)
			}
		case shapeReal:
			if integer || !real || !textDecimal(s) {
				t.Errorf("%q: integer %v, real %v, decimal %v", s, integer, real, textDecimal(s))
			}
		case shapeDecimal:
			if integer || real || !textDecimal(s) {
				t.Errorf("%q: integer %v, real %v, decimal %v", s, integer, real, textDecimal(s))
			}
		}
		for _, rich := range []bool{false, true} {
			for _, before := range []string{"", "1", "2.5", "1.50", "9007199254740993", "true", "1e+21"} {
				a, b := inference{rich: rich}, inference{rich: rich}
				a.text(before)
				b.text(before)
				a.text(s)
				b.cell([]byte(s))
				if a.typ != b.typ {
					t.Errorf("%q after %q, rich %v: %q, want %q", s, before, rich, b.typ, a.typ)
				}
			}
		}
	})
}
