package migration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pgClass is how values of a PostgreSQL type are read and written.
type pgClass byte

const (
	pgOther pgClass = iota // as the server writes it
	pgBool
	pgInt2
	pgInt4
	pgInt8
	pgNumeric
	pgFloat4
	pgFloat8
	pgText
	pgChar // char(n), padded with blanks that mean nothing
	pgBytea
	pgJSON
	pgJSONB
	pgTimestamp   // without a zone
	pgTimestampTZ // an instant
	pgDate
)

// pgClassOf maps the OIDs of the types in pg_catalog, which never change.
func pgClassOf(oid string) pgClass {
	switch oid {
	case "16":
		return pgBool
	case "21":
		return pgInt2
	case "23":
		return pgInt4
	case "20":
		return pgInt8
	case "1700":
		return pgNumeric
	case "700":
		return pgFloat4
	case "701":
		return pgFloat8
	case "25", "1043":
		return pgText
	case "1042":
		return pgChar
	case "17":
		return pgBytea
	case "114":
		return pgJSON
	case "3802":
		return pgJSONB
	case "1114":
		return pgTimestamp
	case "1184":
		return pgTimestampTZ
	case "1082":
		return pgDate
	}
	return pgOther
}

// foreign reports whether only the server knows how it writes a value of the class.
func (c pgClass) foreign() bool {
	return c == pgOther || c == pgJSONB || c == pgTimestamp || c == pgTimestampTZ || c == pgDate
}

// decode reads a value as the server writes it, for a destination that is PostgreSQL too, or to compare.
func (c *pgColumn) decode(b []byte) value {
	if b == nil {
		return nil
	}
	switch c.class {
	case pgBool:
		return len(b) == 1 && b[0] == 't'
	case pgInt2, pgInt4, pgInt8:
		if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			return n
		}
	case pgFloat4, pgFloat8:
		if f, ok := pgFloat(string(b)); ok {
			return f
		}
	case pgNumeric:
		return decimal(b)
	case pgChar:
		return string(bytes.TrimRight(b, " "))
	case pgBytea:
		if raw, ok := pgHex(b); ok {
			return raw
		}
	case pgJSON:
		return document(b)
	}
	return string(b)
}

// export reads a value for a destination that is not PostgreSQL.
func (c *pgColumn) export(b []byte) value {
	if b == nil {
		return nil
	}
	switch {
	case c.class == pgNumeric:
		if n, ok := textInt(string(b)); ok {
			return n
		}
		if f, ok := pgFloat(string(b)); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return f
		}
		return decimal(b)
	case c.class == pgJSON || c.class == pgJSONB || c.array:
		if v, err := parseValue(bytes.TrimSpace(b)); err == nil {
			return v
		}
		return string(b)
	case c.class == pgTimestamp, c.class == pgTimestampTZ:
		return isoTime(string(b))
	}
	return c.decode(b)
}

// isoTime writes a point in time as RFC 3339 does, where that can be said: not infinity, not before Christ.
func isoTime(s string) string {
	if len(s) < 19 || s[4] != '-' || s[10] != ' ' || strings.HasSuffix(s, "BC") {
		return s
	}
	s = s[:10] + "T" + s[11:]
	if at, ok := strings.CutSuffix(s, "+00"); ok {
		return at + "Z"
	}
	return s
}

func pgFloat(s string) (float64, bool) {
	switch s {
	case "Infinity", "+Inf", "Inf":
		return math.Inf(1), true
	case "-Infinity", "-Inf":
		return math.Inf(-1), true
	case "NaN":
		return math.NaN(), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func pgHex(b []byte) ([]byte, bool) {
	digits, ok := bytes.CutPrefix(b, []byte(`\x`))
	if !ok {
		return nil, false
	}
	raw := make([]byte, hex.DecodedLen(len(digits)))
	_, err := hex.Decode(raw, digits)
	return raw, err == nil
}

// encode returns v as decode will give it back, or why the column cannot hold it. from is the column of the source.
func (c *pgColumn) encode(v value, from column) (value, error) {
	switch v.(type) {
	case nil, missing:
		return nil, nil
	}
	switch c.class {
	case pgBool:
		return encodeBool(v)
	case pgInt2:
		return encodeInt(v, 16)
	case pgInt4:
		return encodeInt(v, 32)
	case pgInt8:
		return encodeInt(v, 64)
	case pgNumeric:
		return c.encodeNumeric(v)
	case pgFloat4:
		return encodeFloat(v, 32)
	case pgFloat8:
		return encodeFloat(v, 64)
	case pgBytea:
		return encodeBytea(v)
	case pgJSON, pgJSONB:
		return c.encodeJSON(v, from)
	}
	s, err := pgString(toText(v))
	if c.class == pgChar {
		s = strings.TrimRight(s, " ")
	}
	return s, err
}

// pgString refuses what no text of PostgreSQL can hold.
func pgString(s string) (string, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return "", rowErrorf("%.40q holds a NUL byte, which PostgreSQL's text cannot", s)
	}
	if !utf8.ValidString(s) {
		return "", rowErrorf("%.40q is not valid UTF-8, which PostgreSQL requires", s)
	}
	return s, nil
}

func encodeBool(v value) (value, error) {
	switch x := v.(type) {
	case bool:
		return x, nil
	case int64:
		if x == 0 || x == 1 {
			return x == 1, nil
		}
	case string:
		switch strings.ToLower(x) {
		case "true", "t", "1", "yes", "on":
			return true, nil
		case "false", "f", "0", "no", "off":
			return false, nil
		}
	}
	return nil, rowErrorf("%.40q is no boolean", toText(v))
}

func encodeInt(v value, bits int) (value, error) {
	if b, ok := v.(bool); ok {
		if b {
			return int64(1), nil
		}
		return int64(0), nil
	}
	n, ok := v.(int64)
	if f, isFloat := v.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		n, ok = int64(f), true
	}
	var err error
	if !ok {
		n, err = strconv.ParseInt(strings.TrimSpace(toText(v)), 10, 64)
	}
	if limit := int64(1) << (bits - 1); err != nil || bits < 64 && (n < -limit || n >= limit) {
		return nil, rowErrorf("%.40q is no integer of %d bits", toText(v), bits)
	}
	return n, nil
}

func encodeFloat(v value, bits int) (value, error) {
	var f float64
	ok := false
	switch x := v.(type) {
	case float64:
		f, ok = x, true
	case int64:
		f = float64(x)
		ok = x <= exactInt && x >= -exactInt || int64(f) == x && f < 1<<63
	case string, decimal:
		s := strings.TrimSpace(toText(x))
		if f, ok = losslessFloat(s); !ok {
			f, ok = pgFloat(s)
			ok = ok && (math.IsInf(f, 0) && strings.ContainsAny(s, "iI") || math.IsNaN(f))
		}
	}
	if ok && bits == 32 && !math.IsNaN(f) && !math.IsInf(f, 0) {
		short, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
		ok = err == nil && short == f
	}
	if !ok {
		return nil, rowErrorf("%.40q is no number, or would lose digits in a floating-point column", toText(v))
	}
	return f, nil
}

func (c *pgColumn) encodeNumeric(v value) (value, error) {
	s := strings.TrimSpace(toText(v))
	if f, isFloat := v.(float64); isFloat {
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if f, ok := pgFloat(s); ok && (math.IsNaN(f) || math.IsInf(f, 0) && strings.ContainsAny(s, "iI")) {
		return decimal(pgFloatText(f)), nil
	}
	plain, ok := plainNumber(s)
	if !ok {
		return nil, rowErrorf("%.40q is no number", s)
	}
	if _, fraction, _ := strings.Cut(trimNumber(plain), "."); c.scale >= 0 && c.scale < 1000 && len(fraction) > c.scale {
		return nil, rowErrorf("%.40q would lose digits in a column %s", s, c.decl)
	}
	return decimal(plain), nil
}

func encodeBytea(v value) (value, error) {
	switch x := v.(type) {
	case []byte:
		return x, nil
	case string:
		if raw, ok := pgHex([]byte(x)); ok {
			return raw, nil
		}
		if raw, err := base64.StdEncoding.DecodeString(x); err == nil {
			return raw, nil
		}
	}
	return nil, rowErrorf(`%.40q is neither base64 nor \x and hexadecimal digits`, toText(v))
}

// encodeJSON: text is a JSON text, unless the source's values have types of their own: then it is a JSON string.
func (c *pgColumn) encodeJSON(v value, from column) (value, error) {
	var s string
	switch x := v.(type) {
	case document:
		s = string(x)
	case string:
		switch {
		case from.Type == typeMixed || from.Type == typeJSON && from.PG == "":
			s = string(quoted(x))
			if !utf8.ValidString(x) {
				return nil, rowErrorf("not valid UTF-8, which JSON requires")
			}
		case json.Valid([]byte(x)):
			s = x
		default:
			return nil, rowErrorf("%.40q is not valid JSON", x)
		}
	default:
		made, err := toJSON(v)
		if err != nil {
			return nil, err
		}
		s = string(appendJSON(nil, made))
	}
	s, err := pgString(s)
	if c.class == pgJSON {
		return document(s), err
	}
	return s, err
}

func pgFloatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}
