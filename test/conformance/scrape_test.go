package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sluice.test/harness"
)

// scrape reads /metrics with Prometheus's own parser, which refuses families that come twice and
// samples without their type; that no sample comes twice is looked at here.
func scrape(s *harness.Server) (map[string]*dto.MetricFamily, error) {
	answer, err := http.Get("http://" + s.Address + "/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", answer.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return nil, err
	}
	for name, family := range families {
		seen := map[string]bool{}
		for _, m := range family.Metric {
			key := labels(m)
			if seen[key] {
				return nil, fmt.Errorf("%s{%s} comes twice", name, key)
			}
			seen[key] = true
		}
	}
	return families, nil
}

func labels(m *dto.Metric) string {
	var all []string
	for _, l := range m.Label {
		all = append(all, l.GetName()+"="+l.GetValue())
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}
