package migration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A value is nil (NULL), int64, float64, bool, string, []byte (a blob), or one of the types below.
type value = any

type (
	// missing is a key that a JSON record does not have; for every other format it is NULL.
	missing struct{}
	// document is a JSON object or array, compact.
	document string
	// decimal is a JSON number that neither int64 nor float64 holds without loss, as written.
	decimal string
)

// exactInt is the largest magnitude up to which every integer has a float64 of its own.
const exactInt = 1 << 53

// formatFloat writes f in the fewest digits that read back as f, as encoding/json does.
func formatFloat(f float64) string {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.FormatFloat(f, format, -1, 64)
}

// textInt reads s as an integer only if the integer is written back as s: not "007", "+1", " 1".
func textInt(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 20 || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	if len(s) > 1 && s[0] == '0' || len(s) > 1 && s[0] == '-' && s[1] == '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// textFloat reads s as a float only if the float is written back as s: not "1.50", "1e5", "NaN", "-0".
func textFloat(s string) (float64, bool) {
	if len(s) == 0 || len(s) > 30 || s[0] != '-' && (s[0] < '0' || s[0] > '9') || s == "-0" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, false
	}
	return f, formatFloat(f) == s
}

// number reads a JSON number. What would lose digits stays as it is written.
func number(s string) value {
	if n, ok := textInt(s); ok {
		return n
	}
	if f, ok := losslessFloat(s); ok {
		return f
	}
	return decimal(s)
}

// exactNumber reads a JSON number that is written back as it is.
func exactNumber(s string) value {
	v := number(s)
	if f, ok := v.(float64); ok && formatFloat(f) != s && s != "-0" {
		return decimal(s)
	}
	return v
}

// losslessFloat reads s as a float64 if that keeps the number: 15 significant digits always survive,
// more only if the float is written back as s.
func losslessFloat(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, false
	}
	digits := significant(s)
	if digits == 0 {
		return 0, true
	}
	return f, f != 0 && (digits <= 15 || formatFloat(f) == s)
}

// significant counts the significant digits of a decimal number.
func significant(s string) int {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		s = s[:i]
	}
	s = strings.Replace(strings.TrimLeft(s, "+-"), ".", "", 1)
	return len(strings.Trim(s, "0"))
}

// toText is v as a cell of a CSV or TSV file.
func toText(v value) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatFloat(v)
	case bool:
		return strconv.FormatBool(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case document:
		return string(v)
	case decimal:
		return string(v)
	}
	return ""
}

// toJSON is v as a JSON Lines file can hold it.
func toJSON(v value) (value, error) {
	switch x := v.(type) {
	case string:
		if !utf8.ValidString(x) {
			return nil, rowErrorf("not valid UTF-8, which JSON requires")
		}
	case []byte:
		return base64.StdEncoding.EncodeToString(x), nil
	case decimal:
		if f, ok := pgFloat(string(x)); ok && (math.IsNaN(f) || strings.ContainsAny(string(x), "iI")) {
			return string(x), nil // PostgreSQL's numeric has these too
		}
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return formatFloat(x), nil
		}
	}
	return v, nil
}

// appendJSON appends v, which toJSON returned, as JSON.
func appendJSON(b []byte, v value) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return append(b, formatFloat(v)...)
	case bool:
		return strconv.AppendBool(b, v)
	case document:
		return append(b, v...)
	case decimal:
		return append(b, v...)
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return append(b, quoted(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// quoted is s as a JSON string without HTML escapes: a record is data, not a web page.
func quoted(s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
