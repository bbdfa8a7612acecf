package migration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMergedInference: two halves of any column come to the type of the whole.
func TestMergedInference(t *testing.T) {
	cells := []string{"", "1", "9007199254740993", "2.5", "1e+21", "1.50", "true", "x"}
	for _, rich := range []bool{false, true} {
		var column []string
		var try func(left int)
		try = func(left int) {
			whole := inference{rich: rich}
			for _, c := range column {
				whole.text(c)
			}
			for cut := range len(column) + 1 {
				a, b := inference{rich: rich}, inference{rich: rich}
				for i, c := range column {
					if i < cut {
						a.text(c)
					} else {
						b.text(c)
					}
				}
				if a.merge(b); a.typ != whole.typ {
					t.Errorf("%q and %q, rich %v: %q, want %q", column[:cut], column[cut:], rich, a.typ, whole.typ)
				}
			}
			if left == 0 {
				return
			}
			for _, c := range cells {
				column = append(column, c)
				try(left - 1)
				column = column[:len(column)-1]
			}
		}
		try(4)
	}
}

// TestSurveyHalves: a file surveyed in halves gives what it gives from one end to the other, also where the middle is not
// what it looks like.
func TestSurveyHalves(t *testing.T) {
	plain := strings.Repeat("12345,some text,2.5,\"quoted, twice\"\n", halvedSize/30)
	half := plain[:len(plain)/36/2*36]
	for name, text := range map[string]string{
		"plain":               plain,
		"types only at end":   plain + "x,,1e+21,\n",
		"types only at start": "x,,1e+21,\n" + plain,
		"bad on both sides":   "1,2\n" + half + "1\n" + half + "1,2,3,4,5\n\"a\"b,1,2,3\n1,2,3,\"open",
		"long field":          half + "1,\"" + strings.Repeat("a line\n", 100_000) + "\",3,4\n" + half,
		"records in a field":  half + "1,\"" + strings.Repeat("1,2,3,4\n", 100_000) + "\",3,4\n" + half,
		"empty lines":         half + strings.Repeat("\n", 400_000) + half,
		"many bad":            plain + strings.Repeat("bad\n", 2*maxKeptBad),
		"no end of line":      plain + "1,2,3,4",
	} {
		t.Run(name, func(t *testing.T) {
			s := &delimitedSource{path: write(t, "a.csv", "a,b,c,d\n"+text), comma: ','}
			type outcome struct {
				Found survey
				Bad   []string
				Err   string
			}
			look := func(limit int64, rich, fail bool) outcome {
				var out outcome
				o := surveyOptions{limit: limit, types: true, rich: rich, tick: func(int64) {}}
				o.bad = func(e *rowError) error {
					out.Bad = append(out.Bad, fmt.Sprintf("%d: %s", e.line, e.msg))
					if fail {
						return e.fatal("a.csv")
					}
					return nil
				}
				found, err := s.survey(t.Context(), o)
				if out.Found = found; err != nil {
					out.Found, out.Err = survey{}, err.Error()
				}
				return out
			}
			for _, both := range []bool{false, true} {
				want := look(MaxRecordCount-1, both, both)
				if diff := cmp.Diff(want, look(MaxRecordCount, both, both)); diff != "" {
					t.Errorf("rich and failing %v: (-whole +halves):\n%s", both, diff)
				}
			}
		})
	}
}
