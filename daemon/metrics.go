package daemon

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"durable/ipc/task"
)

// metricsHandler serves the figures of task.Stats, and those of the process, in Prometheus' format.
func metricsHandler(svc task.Service) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&statsCollector{svc: svc}, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

var (
	descTasks   = prometheus.NewDesc("durable_tasks", "Tasks in the store by status.", []string{"status"}, nil)
	descActive  = prometheus.NewDesc("durable_active_attempts", "Attempts that hold a worker slot.", nil, nil)
	descSlots   = prometheus.NewDesc("durable_slots", "Worker slots.", nil, nil)
	descQueued  = prometheus.NewDesc("durable_queued_tasks", "Tasks that wait for a slot.", nil, nil)
	descSubmits = prometheus.NewDesc("durable_submitted_total", "Tasks accepted since the start.", nil, nil)
	descStarts  = prometheus.NewDesc("durable_attempts_started_total", "Attempts started since the start.", nil, nil)
	descEnds    = prometheus.NewDesc("durable_attempts_ended_total", "Attempts ended since the start.", nil, nil)
	descCommits = prometheus.NewDesc("durable_store_commits_total", "Transactions committed since the start.", nil, nil)
	descStore   = prometheus.NewDesc("durable_store_bytes", "Size of the store's file.", nil, nil)
	descFree    = prometheus.NewDesc("durable_disk_free_bytes", "Free space of the state folder's file system.", nil, nil)
	descStreams = prometheus.NewDesc("durable_event_streams", "Event streams that are open.", nil, nil)
)

// statsCollector implements prometheus.Collector.
type statsCollector struct{ svc task.Service }

func (c *statsCollector) Describe(ch chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, ch)
}

func (c *statsCollector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.svc.Stats(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descTasks, err)
		return
	}
	for _, status := range task.Statuses {
		ch <- prometheus.MustNewConstMetric(descTasks, prometheus.GaugeValue, float64(s.Counts[status]), string(status))
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descActive, float64(s.Active))
	gauge(descSlots, float64(s.Slots))
	gauge(descQueued, float64(s.Queued))
	gauge(descStore, float64(s.Disk.Store))
	gauge(descFree, float64(s.Disk.Free))
	gauge(descStreams, float64(s.Subscribers))
	count(descSubmits, s.Submitted)
	count(descStarts, s.Started)
	count(descEnds, s.Ended)
	count(descCommits, s.Commits)
}
