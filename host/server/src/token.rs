//! The token that a host asks for and a client shows.

use std::str::FromStr;

/// A secret that gives the right to deploy. It does not show when it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Text that is not a token. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("is empty: put a token there, or unset it")]
    Empty,
    #[error(
        "has {0} characters: a token has at least {TOKEN_CHARS_MIN}, such as `openssl rand -hex 32` makes them"
    )]
    Short(usize),
    #[error(
        "holds a character that a token cannot have: use letters, digits and `-._~+/=`, such as `openssl rand -hex 32` makes \
         them"
    )]
    Character,
}

/// Fewest characters of a token: shorter ones can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

impl Token {
    /// The secret itself, to be sent or hashed and never shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The characters are those that RFC 6750 allows.
impl FromStr for Token {
    type Err = InvalidToken;
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        match text.len() {
            0 => Err(InvalidToken::Empty),
            _ if !text.bytes().all(allowed) => Err(InvalidToken::Character),
            length if length < TOKEN_CHARS_MIN => Err(InvalidToken::Short(length)),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_does_not_show() {
        let token: Token = " 0123456789abcdef\n".parse().unwrap();
        assert_eq!((token.reveal(), format!("{token:?}").as_str()), ("0123456789abcdef", "Token(…)"));
        assert_eq!("\n".parse::<Token>(), Err(InvalidToken::Empty));
        assert_eq!("0123456789abcde".parse::<Token>(), Err(InvalidToken::Short(15)));
        for wrong in ["0123456789abcdef 0123456789", "0123456789abcdef\"", "0123456789abcdé0123456789"] {
            assert_eq!(wrong.parse::<Token>(), Err(InvalidToken::Character), "{wrong}");
        }
    }
}
