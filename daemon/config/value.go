package config

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Check says whether v is a value of the parameter: a string, a bool, an int64 or a float64, as TOML and JSON give
// them (a whole float64 is an integer). The error names what was wanted, not the parameter.
func (p Param) Check(v any) error {
	switch p.Type {
	case TypeBoolean:
		if _, ok := v.(bool); !ok {
			return fmt.Errorf("%s, want true or false", nameOf(v))
		}
		return nil
	case TypeInteger, TypeNumber:
		return p.checkNumber(v)
	}
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s, want a string", nameOf(v))
	}
	return p.checkText(text)
}

func (p Param) checkNumber(v any) error {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return fmt.Errorf("%s, want a number", nameOf(v))
	}
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return fmt.Errorf("%v is not a number", n)
	case p.Type == TypeInteger && n != math.Trunc(n):
		return fmt.Errorf("%v, want a whole number", n)
	case p.Min != nil && n < *p.Min:
		return fmt.Errorf("%v, want at least %v", v, *p.Min)
	case p.Max != nil && n > *p.Max:
		return fmt.Errorf("%v, want at most %v", v, *p.Max)
	}
	return nil
}

func (p Param) checkText(text string) error {
	limit := int64(MaxString)
	if p.MaxLength != nil {
		limit = *p.MaxLength
	}
	switch n := utf8.RuneCountInString(text); {
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("a NUL character in it")
	case int64(n) > limit:
		return fmt.Errorf("%d characters, the limit is %d", n, limit)
	case p.Type == TypeEnum && !slices.Contains(p.Enum, text):
		return fmt.Errorf("%.40q, want %s", text, choice(p.Enum))
	case p.Type == TypePath && !filepath.IsAbs(text):
		return fmt.Errorf("%.80q is not an absolute path", text)
	}
	return nil
}

func nameOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case nil:
		return "null"
	}
	return "an array or an object"
}
