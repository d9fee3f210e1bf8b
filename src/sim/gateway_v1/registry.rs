//! Numbers of vendor IDs and attributes, written again from the registries and drafts.

/// Vendor IDs: MD5 of the names of RFC 3947 and its drafts, of RFC 3706, of XAUTH's and Unity's, and of "FRAGMENTATION".
pub mod vendor {
    pub const NAT_RFC: [u8; 16] = 0x4a13_1c81_0703_5845_5c57_28f2_0e95_452f_u128.to_be_bytes();
    pub const NAT_03: [u8; 16] = 0x7d94_19a6_5310_ca6f_2c17_9d92_1552_9d56_u128.to_be_bytes();
    pub const NAT_02N: [u8; 16] = 0x90cb_8091_3ebb_696e_0863_81b5_ec42_7b1f_u128.to_be_bytes();
    pub const DPD: [u8; 16] = 0xafca_d713_68a1_f1c9_6b86_96fc_7757_0100_u128.to_be_bytes();
    pub const UNITY: [u8; 16] = 0x12f5_f28c_4571_68a9_702d_9fe2_74cc_0100_u128.to_be_bytes();
    pub const XAUTH: [u8; 8] = 0x0900_2689_dfd6_b712_u64.to_be_bytes();
    pub const FRAGMENTATION: [u8; 16] = 0x4048_b7d5_6ebc_e885_25e7_de7f_00d6_c2d3_u128.to_be_bytes();
}

/// Attributes of phase 1.
pub mod phase_1 {
    pub const ENCRYPTION: u16 = 1;
    pub const HASH: u16 = 2;
    pub const AUTHENTICATION: u16 = 3;
    pub const GROUP: u16 = 4;
    pub const LIFE_TYPE: u16 = 11;
    pub const LIFE_DURATION: u16 = 12;
    pub const KEY_LENGTH: u16 = 14;
}

/// Attributes of phase 2.
pub mod phase_2 {
    pub const LIFE_TYPE: u16 = 1;
    pub const LIFE_DURATION: u16 = 2;
    pub const GROUP: u16 = 3;
    pub const ENCAPSULATION: u16 = 4;
    pub const INTEGRITY: u16 = 5;
    pub const KEY_LENGTH: u16 = 6;
    pub const ESN: u16 = 11;
}

/// Attributes of Mode Config.
pub mod attribute {
    pub const IP4_ADDRESS: u16 = 1;
    pub const IP4_NETMASK: u16 = 2;
    pub const IP4_DNS: u16 = 3;
    pub const IP6_ADDRESS: u16 = 8;
    pub const XAUTH_TYPE: u16 = 16520;
    pub const XAUTH_USER_NAME: u16 = 16521;
    pub const XAUTH_USER_PASSWORD: u16 = 16522;
    pub const XAUTH_MESSAGE: u16 = 16524;
    pub const XAUTH_STATUS: u16 = 16527;
    pub const UNITY_BANNER: u16 = 28672;
    pub const UNITY_DEF_DOMAIN: u16 = 28674;
    pub const UNITY_SPLIT_INCLUDE: u16 = 28676;
    pub const UNITY_PFS: u16 = 28679;
}
