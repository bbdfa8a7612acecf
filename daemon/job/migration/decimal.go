package migration

import (
	"strconv"
	"strings"
)

// maxDigits bounds the numbers that plainNumber writes out, and those that the survey takes for numbers.
const maxDigits = 1000

// plainNumber writes a decimal number without an exponent, as PostgreSQL's numeric does; its fraction keeps its zeros.
func plainNumber(s string) (string, bool) {
	sign, exponent := "", 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = strings.TrimPrefix(s[:1], "+"), s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > maxDigits || n < -maxDigits {
			return "", false
		}
		exponent, s = n, s[:i]
	}
	whole, fraction, point := strings.Cut(s, ".")
	if whole+fraction == "" || len(whole)+len(fraction) > 16000 || strings.Trim(whole+fraction, "0123456789") != "" || point && fraction == "" && whole == "" {
		return "", false
	}
	whole, fraction = shift(whole, fraction, exponent)
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	if strings.Trim(whole+fraction, "0.") == "" {
		sign = "" // there is no negative zero
	}
	return sign + whole + fraction, true
}

// shift moves the decimal point by n digits.
func shift(whole, fraction string, n int) (string, string) {
	for ; n > 0; n-- {
		if fraction == "" {
			whole += "0"
			continue
		}
		whole, fraction = whole+fraction[:1], fraction[1:]
	}
	for ; n < 0; n++ {
		if whole == "" {
			fraction = "0" + fraction
			continue
		}
		whole, fraction = whole[:len(whole)-1], whole[len(whole)-1:]+fraction
	}
	return whole, fraction
}

// trimNumber drops the zeros at the end of a plain number's fraction: 1.50 and 1.5 are the same number.
func trimNumber(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// textDecimal reports whether a numeric gives s back as it is written: 1.50, but not 007, +1, 1e5, .5, -0.
func textDecimal(s string) bool {
	if len(s) == 0 || len(s) > maxDigits || s[0] != '-' && (s[0] < '0' || s[0] > '9') || strings.ContainsAny(s, "eE") {
		return false
	}
	plain, ok := plainNumber(s)
	return ok && plain == s
}
