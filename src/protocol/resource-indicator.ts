/** What a token may be asked for (RFC 8707 §2): a name that an issuer compares and nobody fetches; or none, which is not to name anything. */
export const RESOURCE_INDICATOR = /^(?:none|(?:https?:\/\/|api:\/\/|urn:)[^\s\\@#]{1,2040})$/i
