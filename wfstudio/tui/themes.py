"""Themes: the two of the browser studio, beside those that textual brings."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="wf-dark",
    primary="#949dff",
    secondary="#99a2b0",
    accent="#949dff",
    success="#56c98a",
    warning="#e6b04d",
    error="#ff8a8e",
    foreground="#e5e8ed",
    background="#101216",
    surface="#16191e",
    panel="#1b1f26",
    boost="#20254a",
    dark=True,
    variables={
        "block-cursor-background": "#20254a",
        "block-cursor-foreground": "#e5e8ed",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#1b1f26",
        "border": "#3b424e",
        "border-blurred": "#272c35",
        "footer-background": "#16191e",
        "footer-key-foreground": "#949dff",
        "footer-description-foreground": "#99a2b0",
        "input-selection-background": "#949dff 35%",
        "button-color-foreground": "#0f1230",
        "scrollbar": "#3b424e",
        "scrollbar-hover": "#59616e",
        "scrollbar-active": "#949dff",
        "scrollbar-background": "#101216",
        "scrollbar-background-hover": "#101216",
        "scrollbar-background-active": "#101216",
        "scrollbar-corner-color": "#101216",
    },
)

LIGHT: Final = Theme(
    name="wf-light",
    primary="#3d4bc7",
    secondary="#59616e",
    accent="#3d4bc7",
    success="#17713f",
    warning="#865300",
    error="#b4232b",
    foreground="#15181e",
    background="#ffffff",
    surface="#f6f7f9",
    panel="#f1f3f6",
    boost="#eceefc",
    dark=False,
    variables={
        "block-cursor-background": "#dfe2fb",
        "block-cursor-foreground": "#15181e",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#f1f3f6",
        "border": "#c3c9d3",
        "border-blurred": "#e1e4ea",
        "footer-background": "#f6f7f9",
        "footer-key-foreground": "#3d4bc7",
        "footer-description-foreground": "#59616e",
        "input-selection-background": "#3d4bc7 25%",
        "button-color-foreground": "#ffffff",
        "scrollbar": "#c3c9d3",
        "scrollbar-hover": "#8e97a5",
        "scrollbar-active": "#3d4bc7",
        "scrollbar-background": "#ffffff",
        "scrollbar-background-hover": "#ffffff",
        "scrollbar-background-active": "#ffffff",
        "scrollbar-corner-color": "#ffffff",
    },
)

THEMES: Final = (DARK, LIGHT)
