package migration

// shape is what the text of a cell looks like, as far as a look at each byte tells.
type shape byte

const (
	shapeOther   shape = iota // a closer look is needed
	shapeInteger              // textInt takes it
	shapeReal                 // textFloat takes it, and textDecimal, but not textInt
	shapeDecimal              // only textDecimal takes it: 1.50
)

// What a look can tell: a float64 gives every number of 15 digits back, and an int64 holds every one of 18.
const (
	exactDigits   = 15
	shapeDigits   = 18
	smallFraction = 6 // zeros behind the point after which a float is written with an exponent
)

// shapeOf looks at a cell without reading its number: it is all that most cells of numbers need.
func shapeOf(b []byte) (shape, int64) {
	s := b
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	n, i := int64(0), 0
	for i < len(s) && s[i]-'0' <= 9 {
		n = n*10 + int64(s[i]-'0')
		i++
	}
	if i == 0 || i > shapeDigits || i > 1 && s[0] == '0' {
		return shapeOther, 0
	}
	if i < len(s) {
		return shapeOfFraction(s[i:], i, n), 0
	}
	if len(s) < len(b) {
		if n == 0 {
			return shapeOther, 0
		}
		n = -n
	}
	return shapeInteger, n
}

// shapeOfFraction goes on behind a whole number n of so many digits.
func shapeOfFraction(s []byte, whole int, n int64) shape {
	if s[0] != '.' || len(s) == 1 {
		return shapeOther
	}
	zeros := 0 // before the first other digit
	for i, c := range s[1:] {
		if c-'0' > 9 {
			return shapeOther
		}
		if c == '0' && zeros == i {
			zeros++
		}
	}
	digits := len(s) - 1
	if whole+digits > exactDigits || n == 0 && (zeros == digits || zeros >= smallFraction) {
		return shapeOther
	}
	if s[digits] == '0' {
		return shapeDecimal
	}
	return shapeReal
}

// cell is text for the bytes of a cell. Most never become a string.
func (in *inference) cell(b []byte) {
	if len(b) == 0 || in.typ == typeText {
		return
	}
	switch kind, n := shapeOf(b); kind {
	case shapeInteger:
		in.add(typeInteger, typeText)
		in.integer(n, typeText)
	case shapeReal:
		in.add(typeReal, typeText)
	case shapeDecimal:
		if !in.rich {
			in.typ = typeText
			return
		}
		in.add(typeDecimal, typeText)
	default:
		in.text(string(b))
	}
}
