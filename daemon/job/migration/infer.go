package migration

import "context"

// inferTypes reads the columns that unsure names to find their types: of a source that does not say.
func inferTypes(ctx context.Context, s source, cols []column, o surveyOptions, unsure func(column) bool) error {
	var some []column
	var places []int
	for i, c := range cols {
		if unsure(c) {
			some, places = append(some, c), append(places, i)
		}
	}
	if len(some) == 0 {
		return nil
	}
	r, err := s.open(ctx, sourceColumns(some), position{})
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // a reader
	types, row := make([]inference, len(some)), make([]value, len(some))
	casters := make([]func(value) value, len(some))
	for i, c := range some {
		types[i].rich, casters[i] = o.rich, s.caster(c)
	}
	var records int64
	o.bad = func(*rowError) error { return nil } // the survey has said it
	err = eachRecord(ctx, o, &records, func() error {
		if err := r.read(row); err != nil {
			return err
		}
		for i, v := range row {
			if casters[i] != nil {
				v = casters[i](v)
			}
			types[i].value(v)
		}
		return nil
	})
	for i, place := range places {
		cols[place].Type = types[i].typ
	}
	return err
}
