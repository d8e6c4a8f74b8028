// `metrics.prom`: the summary in Prometheus's text format, for the textfile collector or a push gateway. Base units: seconds and bytes. What was not
// measured is left out.
import type { Percentiles } from '../histogram.ts'
import type { RunResult } from '../run-result.ts'

export type Sample = readonly [labels: Readonly<Record<string, string | number>>, value: number | null]

const quantiles: Readonly<Record<keyof Percentiles, string>> = { p50: '0.5', p90: '0.9', p99: '0.99', p999: '0.999', max: '1' }

export function prometheusText({ summary, startedAt }: RunResult): string {
  const { integrity, clients, connections, latencyMs, throughput, generator, environment } = summary
  const families = [
    family('run_info', 'What ran; always 1.', [
      [
        {
          seed: summary.seed,
          plan_hash: summary.planHash,
          engine: summary.engine,
          version: environment.sennit,
          platform: environment.platform,
          verdict: summary.verdict,
        },
        1,
      ],
    ]),
    family('exit_code', 'Exit code of the run: 0 is a pass.', [[{}, summary.exitCode]]),
    family('passed', '1 when the verdict is pass, else 0.', [[{}, summary.verdict === 'pass' ? 1 : 0]]),
    family('start_time_seconds', 'When the run began, Unix time.', [[{}, Date.parse(startedAt) / 1000]]),
    family('duration_seconds', 'How long the run took, the drain included.', [[{}, summary.durationMs / 1000]]),
    family('messages', 'Messages that were delivered once, in order and unchanged.', [[{}, integrity.messages]]),
    family('bytes', 'Payload bytes, by what became of them.', [
      [{ state: 'sent' }, integrity.sentBytes],
      [{ state: 'delivered' }, integrity.deliveredBytes],
      ...(['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected', 'unknown'] as const).map(
        (state): Sample => [{ state }, integrity[state]],
      ),
    ]),
    family('clients', 'Clients, by state.', stateSamples(clients)),
    family('connections', 'Connections, by state.', stateSamples(connections)),
    family(
      'latency_seconds',
      'Latency of messages due after the warm-up: response from the intended time, service from the hand-over.',
      (['response', 'service'] as const).flatMap((kind) =>
        Object.entries(quantiles).map(
          ([point, quantile]): Sample => [{ kind, quantile }, seconds(latencyMs[kind][point as keyof Percentiles])],
        ),
      ),
    ),
    family('messages_per_second', 'Messages delivered a second, on average.', [[{}, throughput.messagesPerSecond]]),
    family('bytes_per_second', 'Payload bytes delivered a second, on average.', [[{}, throughput.bytesPerSecond]]),
    family(
      'fault_connections',
      'Connections whose active path the target of a fault carried.',
      summary.failovers.map((one, act): Sample => [{ act, fault: one.fault, action: one.action }, one.connections]),
    ),
    family(
      'fault_stall_seconds',
      'How long the connections that a fault hit stood still.',
      summary.failovers.flatMap((one, act) =>
        Object.entries(one.stallMs).map(
          ([point, value]): Sample => [
            { act, fault: one.fault, action: one.action, quantile: quantiles[point as keyof Percentiles] },
            seconds(value),
          ],
        ),
      ),
    ),
    family(
      'limit_held',
      '1 when a limit held, 0 when it broke; absent when it could not be measured.',
      summary.limits.map(({ limit, severity, held }): Sample => [{ limit, severity }, held === null ? null : Number(held)]),
    ),
    family(
      'limit_measured',
      'What a limit is about, as measured, in the base unit of its metric.',
      summary.limits.map(({ limit, metric, measured, unit }): Sample => [{ limit, metric }, unit === 'ms' ? seconds(measured) : measured]),
    ),
    family('generator_loop_delay_seconds', 'Delay of the generator’s event loop.', [
      [{ quantile: '0.99' }, seconds(generator.loopDelayP99Ms)],
    ]),
    family('generator_cpu_cores', 'Cores that the generator used, at most.', [[{}, generator.cpu]]),
  ]
  return families.map((write) => write(summary.name)).join('')
}

function stateSamples(counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([state, value]) => [{ state: state.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) }, value])
}

export function family(name: string, help: string, samples: readonly Sample[]): (run: string) => string {
  return (run) => {
    const lines = samples.flatMap(([labels, value]) => {
      if (value === null) return []
      const pairs = Object.entries({ name: run, ...labels }).map(([label, text]) => `${label}="${quoted(String(text))}"`)
      return [`sennit_test_${name}{${pairs.join(',')}} ${value}\n`]
    })
    if (lines.length === 0) return ''
    return `# HELP sennit_test_${name} ${help}\n# TYPE sennit_test_${name} gauge\n${lines.join('')}`
  }
}

export function seconds(ms: number | null): number | null {
  return ms === null ? null : Number((ms / 1000).toPrecision(12))
}

function quoted(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}
