package training

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"durable/daemon/job/command/progress"
)

// programPoint is an epoch that a program told of: what it said.
type programPoint struct {
	Epoch       int      `json:"epoch"`
	Loss        *float64 `json:"loss,omitempty"`
	Accuracy    *float64 `json:"accuracy,omitempty"`
	F1          *float64 `json:"f1,omitempty"`
	ValLoss     *float64 `json:"val_loss,omitempty"`
	ValAccuracy *float64 `json:"val_accuracy,omitempty"`
	ValF1       *float64 `json:"val_f1,omitempty"`
	Seconds     *float64 `json:"seconds,omitempty"`
}

func (p *programPoint) fields() []*(*float64) {
	return []**float64{&p.Loss, &p.Accuracy, &p.F1, &p.ValLoss, &p.ValAccuracy, &p.ValF1, &p.Seconds}
}

// maxProgramEpochs bounds what a program can have us hold.
const maxProgramEpochs = 100_000

// readEpochs takes the epochs out of a program's output; what it says of one last counts.
func readEpochs(from io.Reader, series map[int]programPoint) {
	in := bufio.NewReaderSize(from, 64<<10)
	var epochs progress.EpochReader
	for {
		line, err := in.ReadSlice('\n')
		for part := range bytes.SplitSeq(line, []byte("\r")) {
			if epoch, metrics, ok := epochs.Line(string(part)); ok {
				take(series, epoch, metrics)
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func take(series map[int]programPoint, epoch int, metrics []progress.Metric) {
	p, known := series[epoch]
	if !known && len(series) == maxProgramEpochs {
		return
	}
	p.Epoch = epoch
	for _, m := range metrics {
		if field := p.named(m.Name); field != nil {
			*field = ref(m.Value)
		}
	}
	series[epoch] = p
}

// named returns the figure that programs call so; nil: none of ours.
func (p *programPoint) named(name string) **float64 {
	name = strings.ToLower(name)
	held := strings.Contains(name, "val") || strings.Contains(name, "test") || strings.Contains(name, "eval")
	pick := func(own, other **float64) **float64 {
		if held {
			return other
		}
		return own
	}
	switch {
	case strings.Contains(name, "loss"):
		return pick(&p.Loss, &p.ValLoss)
	case strings.Contains(name, "acc"):
		return pick(&p.Accuracy, &p.ValAccuracy)
	case strings.Contains(name, "f1"):
		return pick(&p.F1, &p.ValF1)
	}
	return nil
}

func sorted(series map[int]programPoint) []programPoint {
	points := make([]programPoint, 0, len(series))
	for _, epoch := range slices.Sorted(maps.Keys(series)) {
		points = append(points, series[epoch])
	}
	return points
}

// thinnedPoints is thinned for a program's epochs.
func thinnedPoints(series []programPoint) []programPoint {
	if len(series) <= maxPoints {
		return append([]programPoint{}, series...)
	}
	some := make([]programPoint, maxPoints)
	for i := range some {
		some[i] = series[i*(len(series)-1)/(maxPoints-1)]
	}
	return some
}

func writeProgramSeries(path string, points []programPoint) error {
	return writeWhole(path, func(w io.Writer) error {
		text := []byte(seriesHeader)
		for _, p := range points {
			text = strconv.AppendInt(text, int64(p.Epoch), 10)
			for _, field := range p.fields() {
				text = append(text, ',')
				if *field != nil {
					text = fmt.Appendf(text, "%.8g", **field)
				}
			}
			text = append(text, '\n')
		}
		_, err := w.Write(text)
		return err
	})
}

// parseSeries reads metrics.csv back. A line that is none is left out.
func parseSeries(text []byte, series map[int]programPoint) {
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), ",")
		epoch, err := strconv.Atoi(cells[0])
		if err != nil || len(series) == maxProgramEpochs {
			continue
		}
		p := programPoint{Epoch: epoch}
		fields := p.fields()
		for i, cell := range cells[1:] {
			if v, err := strconv.ParseFloat(cell, 64); err == nil && i < len(fields) {
				*fields[i] = &v
			}
		}
		series[epoch] = p
	}
}
