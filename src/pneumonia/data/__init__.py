"""From files of any kind to arrays that no patient shares between training and test."""
