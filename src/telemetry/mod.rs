//! What an operator sees: log lines on standard error, numbers for Prometheus, and traces for a collector.

pub mod logs;
pub mod metrics;
pub mod names;
pub mod process;
pub mod traces;

pub use metrics::Metrics;
pub use traces::Traces;

#[cfg(test)]
mod tests {
    /// The names that follow `- alert:` in a file of rules.
    fn alerts(rules: &str) -> Vec<&str> {
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
    }

    #[test]
    fn every_alert_has_a_paragraph_in_the_manual() {
        let manual = include_str!("../../docs/operations.md");
        let files = [
            include_str!("../../docker/prometheus/alerts.yml"),
            include_str!("../../k8s/segprobe/templates/prometheusrule.yaml"),
        ];
        let described: Vec<&str> = manual.lines().filter_map(|line| line.strip_prefix("### Segprobe")).collect();
        for file in files {
            let alerts: Vec<&str> = alerts(file).iter().filter_map(|name| name.strip_prefix("Segprobe")).collect();
            assert_eq!(described, alerts, "docs/operations.md, Alerts, in the order of the rules");
        }
    }
}
