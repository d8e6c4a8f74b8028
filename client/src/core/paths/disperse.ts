/**
 * `disperse(k, n)`: n shares on n relays, of which any k give the packet back and k − 1 tell nothing. So n − k relays may die, freeze or lie
 * without a pause, at n/k of the traffic.
 */
import { Shares, type SharesNeeds } from './shares.ts'

export class Disperse extends Shares {
  constructor(needs: SharesNeeds, k: number, n: number) {
    super(needs, { kind: 'disperse', k, n })
  }
}
