package progress

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"durable/ipc/task"
)

// meters are the shapes that only one program writes. Each is complete by its own last sign, so that half a line
// is not taken for another number. sign is a part that each such line has: this runs on each line of a log.
var meters = []struct {
	sign string
	read func(line string) (match, bool)
}{{"/s", tqdm}, {"s/", tqdm}, {":--", curl}, {":0", curl}, {"#", curlBar}, {"K .", wget}, {"%[", wgetBar}}

var (
	tqdmShape  = regexp.MustCompile(`^\s*(?:(.*?):\s+)?(\d{1,3})%\|[^|]*\|\s*([\d.]+[kMGT]?)/([\d.]+[kMGT]?)\s\[[\d:]+<([\d:?]+),\s*(?:([\d.]+[kMGT]?|\?)(\S*?)/s|([\d.]+)s/(\S*?))(?:,\s*(.*?))?\]`)
	tqdmOpen   = regexp.MustCompile(`^\s*(?:(.*?):\s+)?([\d.]+[kMGT]?)([A-Za-z]+)\s\[[\d:]+,\s*(?:([\d.]+[kMGT]?|\?)(\S*?)/s|[\d.]+s/\S*?)(?:,\s*(.*?))?\]`)
	curlShape  = regexp.MustCompile(`^\s*(\d{1,3})\s+([\d.]+[kMGTP]?)\s+(\d{1,3})\s+([\d.]+[kMGTP]?)\s+\d{1,3}\s+[\d.]+[kMGTP]?\s+[\d.]+[kMGTP]?\s+[\d.]+[kMGTP]?\s+\S*[\d-]:\S+\s+\S+\s+([\d:-]+)\s+([\d.]+[kMGTP]?)\s*$`)
	curlBarred = regexp.MustCompile(`^#+\s*(\d{1,3}\.\d)%\s*$`)
	wgetShape  = regexp.MustCompile(`^\s*\d+K (?:[ .,]+)\s*(\d{1,3})%\s+([\d.]+[KMGT]?)[ =]([\dhms.]+)\s*$`)
	wgetBarred = regexp.MustCompile(`^(\S.*?)\s+(\d{1,3})%\[[=+> <]*\]\s+([\d.,]+[KMGT]?)\s+\S+B/s(?:\s+(?:eta (.*\S)|in \S+))?\s*$`)
)

// units are tqdm's words for what we have others for.
var units = map[string]string{"it": "", "B": "bytes", "iB": "bytes"}

func unit(word string) string {
	if u, ok := units[word]; ok {
		return u
	}
	return word
}

// tqdm reads " 45%|████▌     | 450/1000 [00:10<00:12, 43.1it/s, loss=0.2]".
func tqdm(line string) (match, bool) {
	g := tqdmShape.FindStringSubmatch(line)
	if g == nil {
		return openTqdm(line)
	}
	done, ok1 := count(g[3])
	total, ok2 := count(g[4])
	if !ok1 || !ok2 || total == 0 {
		return match{}, false
	}
	word := g[7] + g[9]
	p := task.Progress{Done: done, Total: task.Total(total), Unit: unit(word), Message: clean(strings.Join(nonEmpty(g[1], g[10]), ", "))}
	if rate, ok := scaled(g[6]); ok {
		p.Rate = rate
	} else if each, err := strconv.ParseFloat(g[8], 64); err == nil && each > 0 {
		p.Rate = 1 / each
	}
	if left, ok := clock(g[5]); ok {
		p.ETA = etaOf(left)
	}
	return match{key: "tqdm:" + skeleton(g[1]) + g[4], rank: rankMeter, sure: true, at: float64(done), p: p}, true
}

// openTqdm reads a tqdm that does not know its end: "263it [00:00, 465.43it/s]".
func openTqdm(line string) (match, bool) {
	g := tqdmOpen.FindStringSubmatch(line)
	if g == nil {
		return match{}, false
	}
	done, ok := count(g[2])
	if !ok {
		return match{}, false
	}
	p := task.Progress{Done: done, Unit: unit(g[3]), Message: clean(strings.Join(nonEmpty(g[1], g[6]), ", "))}
	if rate, ok := scaled(g[4]); ok {
		p.Rate = rate
	}
	return match{key: "tqdm:" + skeleton(g[1]), rank: rankMeter, sure: true, at: float64(done), p: p}, true
}

// scaled reads a rate: "43.1", "6.22M".
func scaled(s string) (float64, bool) {
	digits := strings.TrimRight(s, "kKMGT")
	v, err := strconv.ParseFloat(digits, 64)
	scale, ok := scales[s[len(digits):]]
	return v * scale, err == nil && ok
}

func nonEmpty(words ...string) []string {
	var kept []string
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" {
			kept = append(kept, w)
		}
	}
	return kept
}

// curl reads a line of curl's default meter. One that does not know the size says 0 for it.
func curl(line string) (match, bool) {
	g := curlShape.FindStringSubmatch(line)
	if g == nil || g[2] == "0" {
		return match{}, false
	}
	pct, ok := percent(g[1])
	if !ok {
		return match{}, false
	}
	p := ofHundred(pct, g[4]+" of "+g[2]+", "+g[6]+"/s")
	if left, ok := clock(g[5]); ok {
		p.ETA = etaOf(left)
	}
	return match{key: "curl", rank: rankMeter, sure: true, at: pct, p: p}, true
}

// curlBar reads curl --progress-bar.
func curlBar(line string) (match, bool) {
	g := curlBarred.FindStringSubmatch(line)
	if g == nil {
		return match{}, false
	}
	pct, ok := percent(g[1])
	return match{key: "curl", rank: rankMeter, sure: true, at: pct, p: ofHundred(pct, "")}, ok
}

// wget reads a row of wget's dots: "  150K .......... ..........  6%  288M 0s".
func wget(line string) (match, bool) {
	g := wgetShape.FindStringSubmatch(line)
	if g == nil {
		return match{}, false
	}
	pct, ok := percent(g[1])
	p := ofHundred(pct, g[2]+"B/s")
	if left, err := time.ParseDuration(g[3]); err == nil && pct < 100 {
		p.ETA = etaOf(left)
	}
	return match{key: "wget", rank: rankMeter, sure: true, at: pct, p: p}, ok
}

// wgetBar reads "big  21%[===>      ] 625.00K  3.00MB/s    eta 3s".
func wgetBar(line string) (match, bool) {
	g := wgetBarred.FindStringSubmatch(line)
	if g == nil {
		return match{}, false
	}
	pct, ok := percent(g[2])
	p := ofHundred(pct, g[1]+", "+g[3])
	if left, err := time.ParseDuration(strings.ReplaceAll(g[4], " ", "")); err == nil {
		p.ETA = etaOf(left)
	}
	return match{key: "wget:" + g[1], rank: rankMeter, sure: true, at: pct, p: p}, ok
}

var rsyncShape = regexp.MustCompile(`^\s*([\d,.]+[KMGT]?)\s+(\d{1,3})%\s+([\d.,]+[kMGT]?B/s)\s+(\d+:\d\d:\d\d)(\s+\(xfe?r#\d+, (ir|to)-ch(?:ec)?k=(\d+)/(\d+)\))?`)

// rsync reads the meters of rsync. With --info=progress2 the percentage is that of the whole; with --progress it is
// that of one file, whose name stands above it, and the whole is in the number of files left to check.
type rsync struct {
	named bool // a name stood above a meter: percentages are those of single files
	above bool // the last line was no meter
}

// other notes a line that is none of rsync's meters.
func (r *rsync) other(line string, whole bool) {
	line = strings.TrimSpace(line)
	if !whole || line == "" || strings.HasSuffix(line, "incremental file list") || strings.HasPrefix(line, "created directory ") {
		return
	}
	r.above = true
}

func (r *rsync) match(line string) (match, bool) {
	if !strings.Contains(line, "B/s") {
		return match{}, false
	}
	g := rsyncShape.FindStringSubmatch(line)
	if g == nil {
		return match{}, false
	}
	pct, ok := percent(g[2])
	if !ok {
		return match{}, false
	}
	r.named, r.above = r.named || r.above, false
	message := g[1] + " bytes, " + g[3]
	if !r.named {
		p := ofHundred(pct, message)
		if left, ok := clock(g[4]); ok && g[5] == "" && pct > 0 {
			p.ETA = etaOf(left)
		}
		return match{key: "rsync", rank: rankMeter, sure: true, at: pct, p: p}, true
	}
	left, ok1 := count(g[7])
	total, ok2 := count(g[8])
	if !ok1 || !ok2 || total < left || total == 0 {
		return match{}, false // a file under way: says nothing about the whole
	}
	p := task.Progress{Done: total - left, Total: task.Total(total), Unit: "files", Message: g[3]}
	if g[6] == "ir" {
		p.Total = nil // it still finds more
	}
	return match{key: "rsync:files", rank: rankMeter, sure: true, at: float64(p.Done), p: p}, true
}
