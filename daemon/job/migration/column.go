package migration

import (
	"math"
	"strconv"
	"strings"
)

// colType is the type of a column of the source.
type colType string

const (
	typeNone    colType = ""        // not looked for, or nothing but NULL seen
	typeInteger colType = "integer" // int64
	typeReal    colType = "real"    // float64
	typeBoolean colType = "boolean"
	typeText    colType = "text"
	typeJSON    colType = "json"    // objects and arrays
	typeMixed   colType = "mixed"   // each value has its own
	typeDecimal colType = "decimal" // of any size; with a size, of Parquet and PostgreSQL, see decimalType
	typeBlob    colType = "blob"

	typeTimestamp     colType = "timestamp" // an instant, in UTC; the values of these are text in ISO 8601
	typeTimestampNano colType = "timestamp_ns"
	typeLocalTime     colType = "local_timestamp" // without a zone
	typeLocalTimeNano colType = "local_timestamp_ns"
	typeDate          colType = "date"
)

// column is one column of the source, as the survey found it.
type column struct {
	Name string  `json:"name"`
	Type colType `json:"type,omitempty"`
	// Decl is the declared type in a SQLite source: carried over to a SQLite destination.
	Decl string `json:"decl,omitempty"`
	// PG is the type in a PostgreSQL source: carried over to a PostgreSQL destination.
	PG string `json:"pg,omitempty"`
	// From is its name in the source, where that is another.
	From string `json:"from,omitempty"`
}

// inference finds the narrowest type that keeps every value of a column.
type inference struct {
	typ colType
	// big: an integer was seen that a float64 does not hold, so that integers and floats do not mix.
	big bool
	// rich: the destination has decimals of any size, so that these are a type of their own.
	rich bool
	// exp: a float was seen that is written with an exponent.
	exp bool
}

// text adds a cell of a text file. An empty cell says nothing.
func (in *inference) text(s string) {
	if s == "" || in.typ == typeText {
		return
	}
	if n, ok := textInt(s); ok {
		in.add(typeInteger, typeText)
		in.integer(n, typeText)
	} else if _, ok := textFloat(s); ok {
		in.add(typeReal, typeText)
		in.float(s, typeText)
	} else if in.rich && textDecimal(s) {
		in.add(typeDecimal, typeText)
	} else if s == "true" || s == "false" {
		in.add(typeBoolean, typeText)
	} else {
		in.typ = typeText
	}
}

// value adds a value that has a type of its own.
func (in *inference) value(v value) {
	switch v := v.(type) {
	case int64:
		in.add(typeInteger, typeMixed)
		in.integer(v, typeMixed)
	case float64:
		in.add(typeReal, typeMixed)
		if in.rich {
			in.float(formatFloat(v), typeMixed)
		}
	case bool:
		in.add(typeBoolean, typeMixed)
	case string:
		in.add(typeText, typeMixed)
	case document:
		in.add(typeJSON, typeMixed)
	case []byte:
		in.add(typeBlob, typeMixed)
	case decimal:
		if in.rich && textDecimal(string(v)) {
			in.add(typeDecimal, typeMixed)
			return
		}
		in.typ = typeMixed
	}
}

// add widens the type by t; what has nothing in common becomes fallback.
func (in *inference) add(t, fallback colType) {
	switch {
	case in.typ == typeNone:
		in.typ = t
	case in.typ == t:
	case numeric(in.typ) && numeric(t) && !in.big:
		in.typ = typeReal
	case in.rich && !in.exp && (numeric(in.typ) || in.typ == typeDecimal) && (numeric(t) || t == typeDecimal):
		in.typ = typeDecimal
	default:
		in.typ = fallback
	}
}

// float notes a float that a decimal would not give back as it is written.
func (in *inference) float(s string, fallback colType) {
	if in.rich && strings.ContainsAny(s, "eEIN") {
		in.exp = true
		if in.typ == typeDecimal {
			in.typ = fallback
		}
	}
}

func (in *inference) integer(n int64, fallback colType) {
	if n > exactInt || n < -exactInt {
		in.big = true
		if in.typ == typeReal {
			in.typ = fallback
			if in.rich && !in.exp {
				in.typ = typeDecimal
			}
		}
	}
}

func numeric(t colType) bool { return t == typeInteger || t == typeReal }

// cast gives a cell of a text file its column's type. A cell that does not fit can only come from a
// file that changed after the survey; it stays text, and the check of the file refuses the whole.
func (c column) cast(s string) value {
	switch c.Type {
	case typeInteger:
		if n, ok := textInt(s); ok {
			return n
		}
	case typeReal:
		if f, ok := textFloat(s); ok {
			return f
		}
	case typeBoolean:
		if s == "true" || s == "false" {
			return s == "true"
		}
	case typeDecimal:
		if s != "" {
			return decimal(s)
		}
	default:
		return s
	}
	if s == "" {
		return nil
	}
	return s
}

// affinity is SQLite's: what a column of a declared type does to a value that is stored in it.
type affinity byte

const (
	affinityBlob    affinity = iota // nothing
	affinityText                    // numbers become text
	affinityNumeric                 // text that is a number becomes one
	affinityReal                    // and integers become floats
)

// affinityOf follows the rules of https://www.sqlite.org/datatype3.html, in their order.
func affinityOf(decl string) affinity {
	decl = strings.ToUpper(decl)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(decl, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return affinityNumeric
	case has("CHAR", "CLOB", "TEXT"):
		return affinityText
	case decl == "" || has("BLOB"):
		return affinityBlob
	case has("REAL", "FLOA", "DOUB"):
		return affinityReal
	}
	return affinityNumeric
}

// apply turns v into what SQLite will give back from a column of affinity a, so that SQLite itself has
// nothing left to convert and nothing is lost unseen.
func (a affinity) apply(v value) (value, error) {
	switch x := v.(type) {
	case missing:
		return nil, nil
	case bool:
		if a == affinityText {
			return toText(x), nil
		}
		if x {
			return a.number(int64(1))
		}
		return a.number(int64(0))
	case document:
		return string(x), nil
	case decimal:
		return a.text(string(x))
	case string:
		return a.text(x)
	case int64, float64:
		if a == affinityText {
			return toText(x), nil
		}
		return a.number(x)
	}
	return v, nil
}

func (a affinity) text(s string) (value, error) {
	if a != affinityNumeric && a != affinityReal {
		return s, nil
	}
	if i := strings.IndexByte(s, 0); i >= 0 && looksNumeric(s[:i]) {
		return nil, rowErrorf("%.40q holds a NUL byte, where SQLite would end the number", s)
	}
	if !looksNumeric(s) {
		return s, nil
	}
	s = strings.Trim(s, " \t\n\v\f\r")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return a.number(n)
	}
	if f, ok := losslessFloat(s); ok {
		return a.number(f)
	}
	return nil, rowErrorf("%.40q would lose digits in a numeric column", s)
}

func (a affinity) number(v value) (value, error) {
	switch x := v.(type) {
	case int64:
		if a != affinityReal {
			return v, nil
		}
		if f := float64(x); x <= exactInt && x >= -exactInt || int64(f) == x && f < 1<<63 {
			return f, nil
		}
		return nil, rowErrorf("%d would lose digits in a REAL column", x)
	case float64:
		if math.IsNaN(x) {
			return nil, nil // SQLite stores NaN as NULL
		}
		if n := int64(x); a == affinityNumeric && float64(n) == x && math.Abs(x) < 1<<63 {
			return n, nil
		}
	}
	return v, nil
}
