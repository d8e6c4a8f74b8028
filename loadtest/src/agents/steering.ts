// Orders of the coordinator that steer a load while it lasts.
import type { LoadSteering } from '../live/live-load.ts'
import type { Order } from './messages.ts'

const kinds = ['act', 'healed', 'heal', 'inject', 'ramp', 'end'] as const

export type SteeringOrder = Extract<Order, { do: (typeof kinds)[number] }>

export function steers(order: Order): order is SteeringOrder {
  return (kinds as readonly string[]).includes(order.do)
}

export function steer(load: LoadSteering, order: SteeringOrder): void {
  switch (order.do) {
    case 'act':
      load.acts.told(order.act, order.relay ?? undefined)
      return
    case 'healed':
      load.acts.healed(order.act, order.atMs)
      return
    case 'heal':
      load.acts.heal(order.act)
      return
    case 'inject':
      load.inject(order.act)
      return
    case 'ramp':
      load.pauseRamp(order.paused)
      return
    case 'end':
      load.end(order.why)
  }
}
