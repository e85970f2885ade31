// What strangers hold of a door that is open to all: places, and bytes in them. One network, however many connections it makes,
// leaves room for the others.

export interface Shares {
  /** A place for somebody of this network. When all are taken, the network that has most of them loses one; undefined: that is this one. */
  enter(network: string, giveWay: () => void): Place | undefined
}

export interface Place {
  /** False, and nothing is held: all have too much together, or this network has half of it. */
  hold(bytes: number): boolean
  /** Also after it was left: what is being worked on is there until it is done. */
  release(bytes: number): void
  leave(): void
}

interface Network {
  readonly places: Set<{ bytes: number; giveWay: () => void; leave(): void }>
  bytes: number
}

export function createShares({ mostPlaces, mostBytes }: { mostPlaces: number; mostBytes: number }): Shares {
  const networks = new Map<string, Network>()
  let [places, bytes] = [0, 0]

  function makeRoomFor(newcomer: Network | undefined): boolean {
    if (places < mostPlaces) return true
    const crowd = [...networks.values()].reduce((most, one) => (one.places.size > most.places.size ? one : most))
    // Where the newcomer would have as many as it takes from, they would take from each other for ever.
    if (crowd.places.size <= (newcomer?.places.size ?? 0) + 1) return false
    const [oldest] = crowd.places
    const last = [...crowd.places].find((place) => place.bytes === 0) ?? oldest
    last?.leave()
    last?.giveWay()
    return true
  }

  return {
    enter(name, giveWay) {
      if (!makeRoomFor(networks.get(name))) return undefined
      const network = networks.get(name) ?? { places: new Set(), bytes: 0 }
      networks.set(name, network)
      const forget = (): void => {
        if (network.places.size === 0 && network.bytes === 0 && networks.get(name) === network) networks.delete(name)
      }
      const place = {
        bytes: 0,
        giveWay,
        hold(more: number): boolean {
          if (bytes + more > mostBytes || network.bytes + more > mostBytes / 2) return false
          bytes += more
          network.bytes += more
          place.bytes += more
          return true
        },
        release(less: number): void {
          bytes -= less
          network.bytes -= less
          place.bytes -= less
          forget()
        },
        leave(): void {
          if (!network.places.delete(place)) return
          places--
          forget()
        },
      }
      network.places.add(place)
      places++
      return place
    },
  }
}
