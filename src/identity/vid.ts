// A VID: the identifier that a caller proves to hold, here always a DID. Lengths are checked before anything decodes.
export type Vid = string & { readonly __vid: unique symbol } // only parseVid makes one
