package migration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

const (
	decimalPrefix     = "decimal("
	maxDecimalInt64   = 18 // digits that an int64 always holds
	maxDecimalDigits  = 38
	decimalBytes      = 16
	layoutDate        = time.DateOnly
	layoutTimestamp   = time.RFC3339Nano
	layoutLocalTime   = "2006-01-02T15:04:05.999999999"
	parquetSchemaName = "records"
)

// decimalType is the type of numbers with so many digits, of which scale are behind the point.
func decimalType(precision, scale int) colType {
	return colType(fmt.Sprintf("%s%d,%d)", decimalPrefix, precision, scale))
}

func (t colType) decimal() (precision, scale int, ok bool) {
	if !strings.HasPrefix(string(t), decimalPrefix) {
		return 0, 0, false // Sscanf takes its time, and each value asks
	}
	n, err := fmt.Sscanf(string(t), decimalPrefix+"%d,%d)", &precision, &scale)
	return precision, scale, err == nil && n == 2
}

// timestamp tells how a column of timestamps prints and in which unit it is kept.
func (t colType) timestamp() (layout string, unit parquet.TimeUnit, ok bool) {
	switch t {
	case typeTimestamp:
		return layoutTimestamp, parquet.Microsecond, true
	case typeTimestampNano:
		return layoutTimestamp, parquet.Nanosecond, true
	case typeLocalTime:
		return layoutLocalTime, parquet.Microsecond, true
	case typeLocalTimeNano:
		return layoutLocalTime, parquet.Nanosecond, true
	}
	return "", nil, false
}

// asJSON reports whether a Parquet file keeps each value of a column as a JSON text of its own.
func (t colType) asJSON() bool { return t == typeJSON || t == typeMixed || t == typeDecimal }

// parquetNode is how a column of type t is kept in a Parquet file. Every column may be NULL. PLAIN and
// Snappy: both cost next to nothing, and every reader knows them; dictionaries would need memory for
// each column.
func parquetNode(t colType) parquet.Node {
	var node parquet.Node
	precision, scale, decimals := t.decimal()
	layout, unit, times := t.timestamp()
	switch {
	case t == typeInteger:
		node = parquet.Leaf(parquet.Int64Type)
	case t == typeReal:
		node = parquet.Leaf(parquet.DoubleType)
	case t == typeBoolean:
		node = parquet.Leaf(parquet.BooleanType)
	case t.asJSON():
		node = parquet.JSON()
	case t == typeBlob:
		node = parquet.Leaf(parquet.ByteArrayType)
	case t == typeDate:
		node = parquet.Date()
	case times:
		node = parquet.TimestampAdjusted(unit, layout == layoutTimestamp)
	case decimals && precision <= maxDecimalInt64:
		node = parquet.Decimal(scale, precision, parquet.Int64Type)
	case decimals:
		node = parquet.Decimal(scale, precision, parquet.FixedLenByteArrayType(decimalBytes))
	default:
		node = parquet.String()
	}
	return parquet.Optional(node)
}

// orderedGroup is a parquet.Group that keeps the order of its columns; the library sorts them.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g *orderedGroup) Fields() []parquet.Field { return g.fields }

func parquetSchema(cols []column) *parquet.Schema {
	g := &orderedGroup{Group: parquet.Group{}}
	for _, c := range cols {
		g.Group[c.Name] = parquetNode(c.Type)
	}
	sorted := g.Group.Fields()
	for _, c := range cols {
		i := slices.IndexFunc(sorted, func(f parquet.Field) bool { return f.Name() == c.Name })
		g.fields = append(g.fields, sorted[i])
	}
	return parquet.NewSchema(parquetSchemaName, g)
}

// parquetConvert returns v, a value for a column of type t, as the file will give it back.
func parquetConvert(v value, t colType) (value, error) {
	switch v.(type) {
	case nil, missing:
		return nil, nil
	}
	precision, scale, decimals := t.decimal()
	layout, unit, times := t.timestamp()
	switch {
	case t == typeInteger:
		if n, ok := v.(int64); ok {
			return n, nil
		}
		if f, ok := v.(float64); ok && float64(int64(f)) == f && f >= -exactInt && f <= exactInt {
			return int64(f), nil
		}
	case t == typeReal:
		return parquetReal(v)
	case t == typeBoolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case t.asJSON():
		return parquetDocument(v)
	case t == typeBlob:
		if b, ok := v.([]byte); ok {
			return b, nil
		}
	case t == typeDate, times:
		if t == typeDate {
			layout, unit = layoutDate, parquet.Microsecond
		}
		if s, ok := v.(string); ok && exactTime(s, layout, unit) {
			return s, nil
		}
	case decimals:
		if n, err := unscaled(v, precision, scale); err == nil {
			return scaled(n, scale), nil
		}
	default:
		return toJSON(toText(v)) // for its check of the UTF-8
	}
	return nil, rowErrorf("%.40q does not fit in a column of type %s", toText(v), t)
}

func parquetReal(v value) (value, error) {
	switch x := v.(type) {
	case float64:
		return x, nil
	case int64:
		if x <= exactInt && x >= -exactInt {
			return float64(x), nil
		}
	}
	return nil, rowErrorf("%.40q would lose digits in a column of type real", toText(v))
}

// parquetDocument is v in a column of JSON, where every value is a JSON text of its own.
func parquetDocument(v value) (value, error) {
	switch x := v.(type) {
	case document:
		var buf bytes.Buffer
		if err := json.Compact(&buf, []byte(x)); err != nil {
			return nil, rowErrorf("%v", err)
		}
		return document(buf.String()), nil
	case decimal:
		v = exactNumber(string(x))
	}
	return toJSON(v)
}

// exactTime reports whether a time can be kept in that unit and comes back as it is written.
func exactTime(s, layout string, unit parquet.TimeUnit) bool {
	at, err := time.Parse(layout, s)
	if err != nil || at.UTC().Format(layout) != s || at.Nanosecond()%int(unit.Duration()) != 0 {
		return false
	}
	return unit.Duration() > 1 || time.Unix(0, at.UnixNano()).Equal(at)
}

// unscaled is a number without its point, if it has no more digits than that.
func unscaled(v value, precision, scale int) (*big.Int, error) {
	switch v.(type) {
	case decimal, int64, float64:
		plain, _ := plainNumber(toText(v))
		whole, fraction, _ := strings.Cut(trimNumber(plain), ".")
		digits := whole + fraction + strings.Repeat("0", max(0, scale-len(fraction)))
		n, ok := new(big.Int).SetString(digits, 10)
		if ok && len(fraction) <= scale && len(strings.TrimLeft(digits, "-0")) <= precision {
			return n, nil
		}
	}
	return nil, fmt.Errorf("not a number of %d digits, %d behind the point", precision, scale)
}

// scaled is the decimal number that n, without its point, stands for.
func scaled(n *big.Int, scale int) decimal {
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		if len(digits) <= scale {
			digits = strings.Repeat("0", scale-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		digits = "-" + digits
	}
	return decimal(digits)
}

// parquetValue is v, which parquetConvert returned, in the library's form.
func parquetValue(v value, t colType) parquet.Value {
	switch x := v.(type) {
	case nil:
		return parquet.NullValue()
	case int64, float64, bool, string, []byte:
		if t.asJSON() {
			return parquet.ByteArrayValue(appendJSON(nil, v))
		}
		if s, ok := x.(string); ok && t != typeText {
			return parquetTime(s, t)
		}
		return parquet.ValueOf(v)
	case decimal:
		if precision, scale, ok := t.decimal(); ok {
			n, _ := unscaled(x, precision, scale) // convert has tried it
			if precision <= maxDecimalInt64 {
				return parquet.Int64Value(n.Int64())
			}
			return parquet.FixedLenByteArrayValue(twosComplement(n))
		}
		return parquet.ValueOf(string(x))
	}
	return parquet.ByteArrayValue([]byte(toText(v)))
}

func parquetTime(s string, t colType) parquet.Value {
	if t == typeDate {
		at, _ := time.Parse(layoutDate, s) // convert has tried it
		return parquet.Int32Value(int32(at.Unix() / (24 * 60 * 60)))
	}
	layout, unit, ok := t.timestamp()
	if !ok {
		return parquet.ValueOf(s)
	}
	at, _ := time.Parse(layout, s) // convert has tried it
	if unit.Duration() == 1 {
		return parquet.Int64Value(at.UnixNano())
	}
	return parquet.Int64Value(at.UnixMicro())
}

func twosComplement(n *big.Int) []byte {
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), 8*decimalBytes))
	}
	return n.FillBytes(make([]byte, decimalBytes))
}
