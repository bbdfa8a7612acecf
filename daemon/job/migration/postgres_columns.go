package migration

import "fmt"

// colType is the type that a column has on the way to another format.
func (c *pgColumn) colType() colType {
	switch c.class {
	case pgBool:
		return typeBoolean
	case pgInt2, pgInt4, pgInt8:
		return typeInteger
	case pgFloat4, pgFloat8:
		return typeReal
	case pgNumeric:
		if c.precision > 0 && c.precision <= maxDecimalDigits && c.scale <= c.precision {
			return decimalType(c.precision, c.scale)
		}
		return typeDecimal
	case pgTimestamp:
		return typeLocalTime
	case pgTimestampTZ:
		return typeTimestamp
	case pgDate:
		return typeDate
	case pgJSON, pgJSONB:
		return typeJSON
	case pgBytea:
		return typeBlob
	}
	if c.array {
		return typeJSON
	}
	return typeText
}

// declarationPG is the type that a new column of a PostgreSQL table is declared with.
func declarationPG(c column) string {
	switch c.Type {
	case typeInteger:
		return "bigint"
	case typeReal:
		return "double precision"
	case typeDecimal:
		return "numeric"
	case typeBoolean:
		return "boolean"
	case typeJSON, typeMixed:
		return "json" // not jsonb: that changes the order of keys and the digits of numbers
	case typeBlob:
		return "bytea"
	case typeTimestamp:
		return "timestamp with time zone"
	case typeLocalTime:
		return "timestamp without time zone"
	case typeDate:
		return "date"
	}
	if precision, scale, ok := c.Type.decimal(); ok {
		return fmt.Sprintf("numeric(%d,%d)", precision, scale)
	}
	return "text" // of nanoseconds too: PostgreSQL would round them
}
